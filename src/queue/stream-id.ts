/** Whether stream id `at` is `wanted` or later; ids are `<milliseconds>-<number>`. */
export function reached(at: string, wanted: string): boolean {
  const [atMs = 0, atSeq = 0] = at.split('-').map(Number)
  const [wantedMs = 0, wantedSeq = 0] = wanted.split('-').map(Number)
  return atMs > wantedMs || (atMs === wantedMs && atSeq >= wantedSeq)
}

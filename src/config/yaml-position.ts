/** Where something is in a YAML file, for messages that name the line. */
import { isMap, isNode, isScalar, isSeq, type Document } from 'yaml'

/** Where the deepest node begins that the path reaches: a missing key is reported at its map. */
export function offsetOf(path: readonly PropertyKey[], document: Document): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const step of path) {
    if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = startOf(node) ?? offset
    } else if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step)
      offset = startOf(pair?.key) ?? offset
      node = pair?.value
    }
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

/** Amounts for people. */

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** US dollars; small amounts with four digits, because a turn costs fractions of a cent. */
export function usd(amount: number): string {
  if (amount === 0) return '$0'
  if (amount < 0.0001) return '<$0.0001'
  return `$${amount.toFixed(amount < 1 ? 4 : 2)}`
}

/** A duration of milliseconds: `0.8 s`, `12.3 s`, `4 min 5 s`, `2 h 3 min`. */
export function seconds(milliseconds: number): string {
  const total = milliseconds / 1000
  if (total < 59.95) return `${total.toFixed(1)} s`
  const whole = Math.round(total)
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`
  return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`
}

/** How long ago an ISO time was: `40 s`, `12 min`, `3 h`, `5 d`. */
export function ago(time: string, now: Date): string {
  const passed = Math.max(0, Math.round((now.getTime() - Date.parse(time)) / 1000))
  if (passed < 2 * MINUTE) return `${passed} s`
  if (passed < 2 * HOUR) return `${Math.floor(passed / MINUTE)} min`
  if (passed < 2 * DAY) return `${Math.floor(passed / HOUR)} h`
  return `${Math.floor(passed / DAY)} d`
}

/** `1 turn`, `2 turns` */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Values of options, checked while the command line is parsed. */
import { InvalidArgumentError } from '@commander-js/extra-typings'

/** A whole number in plain digits; its range is the request's business. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

/** Pieces that the schemas of answers are made of. What they describe is what the OpenAPI document says. */
import { z } from 'zod'

/** An array that nobody changes. */
export function listOf<Item extends z.ZodType>(item: Item): z.ZodReadonly<z.ZodArray<Item>> {
  return z.array(item).readonly()
}

/** UTC, with milliseconds. */
export const time = z.string().meta({ format: 'date-time' })

/** A count or an amount that is never below 0. */
export const amount = z.int().min(0)

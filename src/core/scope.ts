/** What tokens allow. */

/** `read` looks, `submit` asks for work, `control` changes what is there, `admin` is everything. */
export const SCOPES = ['read', 'submit', 'control', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

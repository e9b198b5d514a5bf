/** How a session's record is written: the envelopes, one per line; or a transcript for people. */
export const EXPORT_FORMATS = ['ndjson', 'markdown'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

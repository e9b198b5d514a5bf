/** Drover's mark: three that go where they are driven. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#2f6f5e"/>
<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round">
<path d="M8 9l6 7-6 7"/><path d="M18 9l6 7-6 7" opacity=".65"/></g></svg>
`

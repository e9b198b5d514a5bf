/** What a browser shows where there is no page: the sentence that a program gets as a document. */
import { escaped, plainPage } from './plain-page.ts'

/** `title`: what it is about, in a word or two. */
export function failurePage(title: string, message: string): string {
  return plainPage(
    title,
    `<p class="problem" role="alert">${escaped(message)}</p>
      <p><a href="/">Sessions</a></p>`,
  )
}

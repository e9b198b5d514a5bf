/** `drover pods list` */
import { connect } from '../connect.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover pods`. */
export const registerPods: Register = (program, context) => {
  program
    .command('pods')
    .description('Shows the pods that run sessions.')
    .command('list')
    .description('Lists the pods: what each runs and has free, and why one takes no session.')
    .addHelpText(
      'after',
      examples('drover pods list', `drover pods list --json | jq -r '.pods[] | select(.why).why'`),
    )
    .action(async () => {
      const client = await connect(context)
      const [{ podsText }, document] = await Promise.all([import('../show-pods.ts'), client.pods()])
      await context.output.answer(document, () => podsText(document.pods, context.output))
    })
}

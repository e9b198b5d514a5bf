import { expect, it } from 'vitest'
import { nodeProblem } from '../../src/cli/node-version.ts'

it.each(['18.20.8', '20.20.2', '22.12.0', '22.17.9', '23.11.1'])('%s is refused in words', (version) => {
  expect(nodeProblem(version)).toContain(`this is ${version}`)
})

it.each(['22.18.0', '22.22.0', '24.0.0', '26.1.0-rc.1', process.versions.node])('%s will do', (version) => {
  expect(nodeProblem(version)).toBeNull()
})

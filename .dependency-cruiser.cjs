/**
 * Who may import whom (DESIGN §3): the arrows point from what is imported to who imports it.
 *
 *     core ← config ← { queue, ledger, guard, session, telemetry, setup, rehearsal } ← { producer, recorder }
 *          ← mcp ← { worker, board } ← cli
 *
 * Neighbours of one level do not import one another. guard imports core alone.
 */
const LEVELS = [
  ['core'],
  ['config'],
  ['queue', 'ledger', 'guard', 'session', 'telemetry', 'setup', 'rehearsal'],
  ['producer', 'recorder'],
  ['mcp'],
  ['worker', 'board'],
  ['cli'],
]

const direction = LEVELS.flatMap((folders, level) =>
  folders.map((folder) => {
    const below = folder === 'guard' ? ['core'] : LEVELS.slice(0, level).flat()
    return {
      name: `${folder}-imports-downwards`,
      comment:
        below.length === 0
          ? `${folder} imports nothing of ours`
          : `${folder} imports ${below.join(', ')} only`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: '^src/', pathNot: `^src/(${[folder, ...below].join('|')})/` },
    }
  }),
)

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...direction,
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'core-is-pure',
      comment: 'core does no input or output: of Node and npm it takes digests, schemas and ids',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { pathNot: '^(src/|node_modules/(zod|uuid)/|(node:)?crypto$)' },
    },
    {
      name: 'guard-is-small',
      comment: 'the guard outlives every bug of the worker: of npm it takes execa alone',
      severity: 'error',
      from: { path: '^src/guard/' },
      to: { path: 'node_modules/', pathNot: 'node_modules/execa/' },
    },
    {
      name: 'production-packages-only',
      comment: 'a package that src/ imports belongs into "dependencies"; types may come from anywhere',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'src-stands-alone',
      comment: 'nothing that is shipped needs tests, scripts or benches',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|scripts|bench|examples)/' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Type imports count: a type is a dependency of the mind too.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
}

/**
 * The schema of `agent_specs.json`. Its descriptions and defaults are published as `agent_specs.schema.json` and in
 * `docs/agent-types.md`; tests keep the three equal.
 */
import { resolve } from 'node:path'
import { z } from 'zod'
import { AGENT_TYPE_PATTERN, nearest } from '../core/ids.ts'
import {
  ORCHESTRATOR_TOOLS,
  PERMISSION_MODES,
  PERMISSION_PROMPTS,
  SETTING_SOURCES,
  WORKSPACE_KINDS,
  type AgentSpec,
} from './agent-spec.ts'
import { deepFreeze } from './freeze.ts'
import { promptTemplate, templateProblem } from './prompt-template.ts'

/** One hour: what the first source document gives a session. */
const TIMEOUT_SECONDS = 3600
/** 30 days, the longest whole life of a session; a request has the same bound. */
const MAX_TIMEOUT_SECONDS = 30 * 24 * 3600
/** More agents of one type at once than this is a slip of the finger. */
const MAX_INSTANCES = 100
/** What Drover, its guard or the CLI's launch sets itself: another value would break kill, resume or cost. */
const OWN_VARIABLES = [
  'TASK_ID',
  'ORCHESTRATOR_ID',
  'ORCHESTRATOR_INSTANCE_ID',
  'AGENT_ID',
  'AGENT_TYPE',
  'DROVER_SESSION_ID',
  'DROVER_URL',
  'DROVER_TOKEN',
  'DROVER_TOOLS',
  'DROVER_ATTEMPT',
  'DROVER_AGENT_MARK',
  'CLAUDE_CONFIG_DIR',
  'CLAUDE_CODE_TMPDIR',
  'TMPDIR',
]

const oneLine = z
  .string({ error: 'must be text' })
  .min(1, 'must not be empty')
  .max(4096, 'must be at most 4096 characters')
  .regex(/^\P{Cc}*$/u, 'must be one line, without control characters')

/** Ends up in argv, so it must not be taken for an option. */
const argument = oneLine.regex(
  /^(?![-\s])/,
  'must not begin with "-" (the CLI would take it for an option) or a space',
)

/** JSON has no line breaks in strings: a list of lines keeps prompts readable in diffs. */
const lines = z
  .union([z.string(), z.array(z.string())], { error: 'must be text, or a list of lines' })
  .refine((text) => !joined(text).includes('\0'), 'must not contain a NUL character')

const path = oneLine.regex(
  /^(?!~)/,
  'must not begin with "~", which is not expanded: write the directory out',
)

const seconds = z
  .number({ error: 'must be a number of seconds' })
  .positive('must be more than 0 seconds')
  .max(MAX_TIMEOUT_SECONDS, `must be at most ${MAX_TIMEOUT_SECONDS} seconds (30 days)`)

const flag = z.boolean({ error: 'must be true or false' })

function whole(min: number, max: number): z.ZodInt {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, error).max(max, error)
}

function oneOf<const V extends readonly string[]>(values: V): z.ZodEnum<{ [K in V[number]]: K }> {
  return z.enum(values, {
    error: ({ input }) => {
      const near = typeof input === 'string' ? nearest(input, values) : null
      return `must be one of ${values.join(', ')}${near === null ? '' : `; did you mean "${near}"?`}`
    },
  })
}

function listOf<S extends z.ZodType>(item: S, what: string): z.ZodArray<S> {
  return z.array(item, { error: `must be a list of ${what}` }).max(1000, 'must have at most 1000 entries')
}

const toolList = listOf(argument, 'tool names')

const variableName = z
  .string({ error: 'must be the name of an environment variable' })
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable (letters, digits and _)')
  .max(256, 'must be at most 256 characters')
  .refine((name) => !OWN_VARIABLES.includes(name), 'is a variable that Drover sets itself')

const workspacePath = path.refine(
  (file) => !file.startsWith('/') && !file.split('/').includes('..'),
  'must be a path inside the workspace: relative, without ".."',
)

const template = lines.superRefine((text, context) => {
  const problem = templateProblem(joined(text))
  if (problem !== null) context.addIssue({ code: 'custom', message: problem })
})

const environment = z
  .strictObject(
    {
      PASS: listOf(variableName, 'variable names').default([]),
      SET: z
        .record(
          variableName,
          z.string({ error: 'must be text' }).regex(/^[^\0]*$/, 'must not contain a NUL character'),
          {
            error: 'must be an object of variable names and values',
          },
        )
        .default({}),
    },
    { error: 'must be an object with "PASS" and "SET"' },
  )
  .default({ PASS: [], SET: {} })

/** Modes in which the CLI asks nobody. */
const NEVER_ASKS = ['dontAsk', 'bypassPermissions']

/** One agent type, as it is written in the file. */
const specMembers = z.strictObject(
  {
    description: oneLine.describe('One sentence: what the type is for.'),
    use_cases: listOf(oneLine, 'sentences')
      .default([])
      .describe('What to use it for; shown and searched by `types`.'),
    model: argument.describe(
      'Model alias (`opus`, `sonnet`, `haiku`) or full name, as `claude --model` takes it.',
    ),
    fallback_model: argument
      .nullable()
      .default(null)
      .describe('Models to go on with while the main one is overloaded, with commas between.'),
    mcp_config: path
      .nullable()
      .default(null)
      .describe('MCP config file, relative to this file, with or without the `mcpServers` wrapper.'),
    require_mcp: flag
      .default(false)
      .describe('A failed MCP server of `mcp_config` fails the session, instead of being a warning.'),
    system_prompt: lines
      .nullable()
      .default(null)
      .describe("Appended to the CLI's own system prompt; text, or a list of lines."),
    agent: argument
      .regex(/^[^/\\]*$/, 'must be a name, such as "reviewer" for .claude/agents/reviewer.md')
      .nullable()
      .default(null)
      .describe('Runs as this agent file (`.claude/agents/<name>.md` of the workspace): `claude --agent`.'),
    templates: z
      .record(
        z
          .string()
          .regex(
            AGENT_TYPE_PATTERN,
            'must be a lower-case template name such as "audit" (a-z, 0-9, _ and -)',
          ),
        template,
        { error: 'must be an object of template names and prompts' },
      )
      .default({})
      .describe('Prompts by name with `{{placeholders}}`; text, or a list of lines.'),
    allowed_tools: toolList
      .default([])
      .describe('Tools and patterns that run without asking: `Read`, `Bash(git log:*)`, `mcp__db`.'),
    disallowed_tools: toolList
      .default([])
      .describe('Tools and patterns that are refused, whatever allows them.'),
    orchestrator_tools: listOf(oneOf(ORCHESTRATOR_TOOLS), 'tool names')
      .default(['check_inbox', 'send_message'])
      .describe(
        "Tools of Drover's own MCP server that the agent gets; spawning others must be granted here.",
      ),
    permission_mode: oneOf(PERMISSION_MODES)
      .default('dontAsk')
      .describe(
        'What happens to a tool call that no rule allows. `dontAsk` denies it: nobody is there to ask.',
      ),
    permission_prompts: oneOf(PERMISSION_PROMPTS)
      .default('deny')
      .describe(
        '`ask`: a tool call that no rule allows waits for a person (`waiting_input`); it needs a `permission_mode` that asks, such as `manual` or `acceptEdits`. `deny`: it is denied.',
      ),
    permission_wait_seconds: seconds
      .nullable()
      .default(null)
      .describe(
        'Seconds that such a call waits for its answer before it is denied; null = `session.permission_wait_ms`.',
      ),
    setting_sources: listOf(oneOf(SETTING_SOURCES), 'settings files')
      .default(['user'])
      .describe(
        'Settings files that the CLI loads. `project` and `local` trust what the repository brings along.',
      ),
    expect_files: listOf(workspacePath, 'paths')
      .default([])
      .describe(
        'Files that must exist in the workspace at the end, else the session failed (`missing_files`). Where the worker died with the success, a pod that has the workspace looks.',
      ),
    timeout: whole(1, MAX_TIMEOUT_SECONDS)
      .default(TIMEOUT_SECONDS)
      .describe(
        'Seconds that the session may take as a whole, restarts included; pauses for usage limits are not.',
      ),
    startup_timeout_seconds: seconds
      .nullable()
      .default(null)
      .describe('Seconds until the CLI must have confirmed its start; null = `session.startup_timeout_ms`.'),
    stall_timeout_seconds: seconds
      .nullable()
      .default(null)
      .describe(
        'Seconds without a sign of life until an agent counts as stalled; null = `liveness.stall_timeout_ms`.',
      ),
    idle_timeout_seconds: seconds
      .nullable()
      .default(null)
      .describe('Seconds with neither output nor CPU use; null = `liveness.idle_timeout_ms`.'),
    auto_restart: flag.default(true).describe('Goes on after a crash or a stall, with `--resume`.'),
    max_restarts: whole(0, 100)
      .nullable()
      .default(null)
      .describe('Restarts of one session; null = `restart.max_restarts`.'),
    max_instances: whole(1, MAX_INSTANCES)
      .default(1)
      .describe('Agents of the type that may run at once in the cluster; 1 is the singleton rule (CFR-000).'),
    max_turns: whole(1, 100_000)
      .nullable()
      .default(null)
      .describe('Turns of one agent: `claude --max-turns`.'),
    max_budget_usd: z
      .number({ error: 'must be an amount in US dollars' })
      .positive('must be more than 0')
      .max(1_000_000, 'must be at most 1000000')
      .nullable()
      .default(null)
      .describe(
        'US dollars of one agent: `claude --max-budget-usd`; checked after each call, so one call may overshoot.',
      ),
    workspace: oneOf(WORKSPACE_KINDS)
      .default('shared')
      .describe('`shared`: in the given directory; `worktree`: in a git worktree of its own.'),
    env: environment.describe(
      "`PASS`: variables of the worker's environment that the child gets too (the place for secrets); `SET`: variables with a value.",
    ),
    background_tasks: flag
      .default(false)
      .describe('Lets the CLI run commands in the background past the end of a turn.'),
  },
  { error: 'must be an object that describes an agent type' },
)

const specSchema = specMembers.superRefine(({ permission_prompts, permission_mode }, context) => {
  if (permission_prompts !== 'ask' || !NEVER_ASKS.includes(permission_mode)) return
  context.addIssue({
    code: 'custom',
    path: ['permission_prompts'],
    message: `is "ask", but with permission_mode "${permission_mode}" the CLI asks nobody: choose manual, acceptEdits, plan or auto`,
  })
})

/** The whole of `agent_specs.json`. */
export const agentSpecsSchema = z.strictObject(
  {
    $schema: z.string().optional().describe('Address of this schema, for editors.'),
    agent_types: z
      .record(
        z
          .string()
          .regex(
            AGENT_TYPE_PATTERN,
            'must be a lower-case name such as "code_developer" (a-z, 0-9, _ and -, at most 64 characters)',
          ),
        specSchema,
        { error: 'must be an object of agent types by name' },
      )
      .refine((types) => Object.keys(types).length > 0, 'must have at least one agent type')
      .describe('Agent types by name.'),
  },
  { error: 'must be an object with "agent_types"' },
)

/** The keys of one agent type, for "did you mean" and for the docs. */
export const SPEC_KEYS: readonly string[] = Object.keys(specMembers.shape)

/** A spec from its parsed form; relative paths count from `directory`, the spec file's own. Frozen. */
export function toAgentSpec(name: string, spec: z.output<typeof specSchema>, directory: string): AgentSpec {
  return deepFreeze({
    name,
    description: spec.description,
    useCases: spec.use_cases,
    model: spec.model,
    fallbackModel: spec.fallback_model,
    mcpConfig: spec.mcp_config === null ? null : resolve(directory, spec.mcp_config),
    requireMcp: spec.require_mcp,
    systemPrompt: spec.system_prompt === null ? null : joined(spec.system_prompt),
    agent: spec.agent,
    templates: Object.entries(spec.templates).map(([key, text]) => promptTemplate(key, joined(text))),
    allowedTools: spec.allowed_tools,
    disallowedTools: spec.disallowed_tools,
    orchestratorTools: spec.orchestrator_tools,
    permissionMode: spec.permission_mode,
    permissionPrompts: spec.permission_prompts,
    permissionWaitSeconds: spec.permission_wait_seconds,
    settingSources: spec.setting_sources,
    expectFiles: spec.expect_files,
    timeout: spec.timeout,
    startupTimeoutSeconds: spec.startup_timeout_seconds,
    stallTimeoutSeconds: spec.stall_timeout_seconds,
    idleTimeoutSeconds: spec.idle_timeout_seconds,
    autoRestart: spec.auto_restart,
    maxRestarts: spec.max_restarts,
    maxInstances: spec.max_instances,
    maxTurns: spec.max_turns,
    maxBudgetUsd: spec.max_budget_usd,
    workspace: spec.workspace,
    env: { pass: spec.env.PASS, set: spec.env.SET },
    backgroundTasks: spec.background_tasks,
  })
}

/** The JSON Schema of `agent_specs.json`, for editors and other tools. */
export function agentSpecsJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(agentSpecsSchema, { io: 'input' }),
    title: 'Agent types of Drover (agent_specs.json)',
  }
}

function joined(text: string | readonly string[]): string {
  return typeof text === 'string' ? text : text.join('\n')
}

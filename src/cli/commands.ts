/** All commands, in the order of the help. */
import type { CommandGroup } from './program.ts'
import { registerAgents } from './commands/agents.ts'
import { registerBoard } from './commands/board.ts'
import { registerConfig } from './commands/config.ts'
import { registerCost } from './commands/cost.ts'
import { registerDemo } from './commands/demo.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerEvents } from './commands/events.ts'
import { registerInterrupt } from './commands/interrupt.ts'
import { registerKill } from './commands/kill.ts'
import { registerLedger } from './commands/ledger.ts'
import { registerMcp } from './commands/mcp.ts'
import { registerMessages } from './commands/messages.ts'
import { registerMigrate } from './commands/migrate.ts'
import { registerMonitor } from './commands/monitor.ts'
import { registerPods } from './commands/pods.ts'
import { registerRestart } from './commands/restart.ts'
import { registerRun } from './commands/run.ts'
import { registerSend } from './commands/send.ts'
import { registerSessions } from './commands/sessions.ts'
import { registerSpawn } from './commands/spawn.ts'
import { registerTasks } from './commands/tasks.ts'
import { registerTokens } from './commands/tokens.ts'
import { registerTypes } from './commands/types.ts'
import { registerUp } from './commands/up.ts'
import { registerWatch } from './commands/watch.ts'
import { registerWorker } from './commands/worker.ts'
import { registerWorktrees } from './commands/worktrees.ts'

/** The commands by the headings of `drover --help`. */
export const COMMANDS: readonly CommandGroup[] = [
  { heading: 'From nothing:', commands: [registerDemo, registerRun, registerUp] },
  {
    heading: 'Work (over HTTP, with the board of a running Drover):',
    commands: [
      registerSpawn,
      registerWatch,
      registerMonitor,
      registerKill,
      registerRestart,
      registerSend,
      registerInterrupt,
      registerSessions,
      registerAgents,
      registerPods,
      registerEvents,
      registerCost,
      registerTasks,
      registerMessages,
      registerTypes,
      registerWorktrees,
    ],
  },
  { heading: 'Services:', commands: [registerWorker, registerBoard, registerMcp] },
  {
    heading: 'This installation:',
    commands: [registerDoctor, registerMigrate, registerLedger, registerConfig, registerTokens],
  },
]

import type { Command } from 'commander'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { learnLogCommand } from './learn-log.ts'
import { learnRedisCommand } from './learn-redis.ts'

/** `prewarm learn` */
export function learnCommand(cli: Cli): Command {
  const command = new PrewarmCommand('learn')
  command
    .description('Learn which keys users read: from Redis itself, or from access logs')
    .addCommand(learnRedisCommand(cli))
    .addCommand(learnLogCommand(cli))
    .addHelpText('after', '\nExample:\n  $ prewarm learn redis --dry-run')
  return command
}

/** `skyshard drain` and `skyshard rebalance`: plans of moves, printed or carried out. */

import { DataPlaneError } from '../../base/data-plane-error.ts';
import { drainPlan, type MovePlan, rebalancePlan } from '../../shardmap/move-plan.ts';
import { rangesText } from '../../shardmap/shard-map.ts';
import { movesOf } from '../../shardmap/slot-move.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { clusterFigures, lookAtNodes } from '../process/cluster-figures.ts';
import { type MapInForce, mapInForce } from '../process/push-map.ts';
import { requireLogServer, runMovePlan } from './move-run.ts';

/** Errors: DataPlaneError `ConfigInvalid` while slots move: a plan would be of the past. */
function requireNoMoves({ map }: MapInForce): void {
  const moving = movesOf(map)
    .flatMap(({ slots }) => slots)
    .sort((one, other) => one - other);
  if (moving.length === 0) return;
  throw new DataPlaneError('ConfigInvalid', `slots ${rangesText(moving)} are moving`, {
    hint: '`skyshard move` goes on with them; `skyshard move cancel`, `reverse` or `drop` ends that. Then plan anew.',
  });
}

async function carryOut(context: CommandContext, plan: MovePlan): Promise<number> {
  const { settings, print } = context;
  if (settings.dryRun && settings.json) {
    print(`${JSON.stringify(plan, null, 2)}\n`);
    return exitCode.done;
  }
  return runMovePlan(context, plan);
}

/** Moves all copies of a node to others. */
export const runDrain: Command = async (context) => {
  const held = await mapInForce(context);
  requireNoMoves(held);
  requireLogServer(await lookAtNodes(context));
  return carryOut(context, drainPlan(held.map, await clusterFigures(context, true), context.operands[0]!));
};

/** Brings nodes nearer to their share, with the fewest bytes moved. */
export const runRebalance: Command = async (context) => {
  const held = await mapInForce(context);
  requireNoMoves(held);
  requireLogServer(await lookAtNodes(context));
  const plan = rebalancePlan(held.map, await clusterFigures(context, true));
  if (plan.moves.length > 0) return carryOut(context, plan);
  const { settings, print } = context;
  print(settings.json ? `${JSON.stringify(plan)}\n` : 'every node is near its share: nothing is to be moved\n');
  return exitCode.done;
};

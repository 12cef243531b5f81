/** What a node answers about shard maps: which it has, who asked, and the steps of a change. */
import type { Clock } from '../base/clock.ts';
import { type HeldMap, type MapFollower, sharedPartOf } from '../shardmap/map-follower.ts';
import {
  changeMapRequest,
  type MapAnswer,
  type MapChangeNote,
  mapAnswer,
  mapRequest,
  type ProcessMaps,
} from '../wire/map-messages.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';

/** A process that has not asked for longer is gone. */
const processMsMax = 30_000;
const processesMax = 1_000;

type Asked = ProcessMaps & { readonly askedMs: number };

function heldFor(caller: ProcessMaps | null, held: HeldMap): MapAnswer['committed'] {
  const { digest, json, map } = held;
  const hasIt = digest === caller?.digest || digest === caller?.preparedDigest;
  return { epoch: map.epoch, digest, json: hasIt ? null : sharedPartOf(json) };
}

/** Returns the handlers of a node, by name. `changes` reads what it has noted of changes. */
export function mapHandlers(
  maps: MapFollower,
  clock: Clock,
  changes: () => MapChangeNote[] = () => [],
): [string, CallHandler][] {
  const askedByName = new Map<string, Asked>();
  const note = (caller: ProcessMaps): void => {
    const askedMs = clock.monotonicMs();
    for (const [name, asked] of askedByName) {
      if (askedMs - asked.askedMs > processMsMax) askedByName.delete(name);
    }
    if (askedByName.size < processesMax || askedByName.has(caller.name))
      askedByName.set(caller.name, { ...caller, askedMs });
  };
  const answerMap: CallHandler = (payload) => {
    const { caller, withProcesses } = mapRequest.decode(payload);
    if (caller !== null) note(caller);
    const nowMs = clock.monotonicMs();
    const { held, prepared } = maps;
    return mapAnswer.encode({
      committed: heldFor(caller, held),
      prepared: prepared === null ? null : heldFor(caller, prepared),
      processes: withProcesses
        ? [...askedByName.values()].map(({ askedMs, ...asked }) => ({ ...asked, ageMs: nowMs - askedMs }))
        : [],
      changes: withProcesses ? changes() : [],
    });
  };
  const changeMap: CallHandler = (payload) => {
    const { step, json, digest, holder, push } = changeMapRequest.decode(payload);
    if (step === 'commit') maps.commit(json);
    else if (step === 'abandon') maps.abandon(digest, push);
    else maps.prepare(json, holder, push, step === 'check');
    return Buffer.alloc(0);
  };
  return [
    [nodeCalls.map, answerMap],
    [nodeCalls.changeMap, changeMap],
  ];
}

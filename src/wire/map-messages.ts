/** The messages by which processes tell each other of shard maps, and change them. */
import * as v from 'valibot';
import { recordShape, wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Enough for a map of all slots, each with a range of its own, and for a thousand processes. */
const itemCountMax = 2 ** 18;

const epoch = wholeNumberShape(0, 2 ** 32 - 1);
/** Without what is a machine's own. */
const json = recordShape(v.string(), v.unknown());
const roles = ['node', 'router', 'ingest', 'import', 'backup'] as const;
const heldMap = v.object({ epoch, digest: v.string(), json: v.nullable(json) });

const processEntries = {
  /** The same for as long as the process runs. */
  name: v.string(),
  role: v.picklist(roles),
  /** Of the map in force. */
  epoch,
  digest: v.string(),
  /** Of the map that the process would take next; '' for none. */
  preparedDigest: v.string(),
};
const processMaps = v.object(processEntries);

/** Null: the caller only wants to know. */
export const mapRequest = controlMessage(
  nodeCalls.map,
  v.object({ caller: v.nullable(processMaps), withProcesses: v.boolean() }),
);
/** A map that came into force at a node: who made it and why, in texts for people. */
const changeNote = v.object({
  epoch,
  atMs: v.number(),
  by: v.string(),
  what: v.string(),
  changes: v.array(v.string()),
});

/** `json` is null where the caller has that map. */
export const mapAnswer = controlMessage(
  nodeCalls.map,
  v.object({
    committed: heldMap,
    prepared: v.nullable(heldMap),
    /** Those that have asked within `processMsMax`. */
    processes: v.array(v.object({ ...processEntries, ageMs: v.number() })),
    /** The last changes that the node has noted, oldest first; none with no processes. */
    changes: v.optional(v.array(changeNote), []),
  }),
  itemCountMax,
);

const mapSteps = ['check', 'prepare', 'abandon', 'commit'] as const;
export const changeMapRequest = controlMessage(
  nodeCalls.changeMap,
  v.object({ step: v.picklist(mapSteps), json, digest: v.string(), holder: v.nullable(v.string()), push: v.string() }),
  itemCountMax,
);

export type MapChangeNote = Readonly<v.InferOutput<typeof changeNote>>;
export type ProcessMaps = Readonly<v.InferOutput<typeof processMaps>>;
export type ProcessRole = (typeof roles)[number];
export type MapAnswer = ReturnType<typeof mapAnswer.decode>;
export type MapStep = (typeof mapSteps)[number];

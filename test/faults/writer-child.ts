/**
 * The writer: appends commits to the logs, as ingest does, and says which are there.
 *
 * Takes its settings as JSON in argv, and a FanWrite a line; prints `ready` and then the id of each
 * that is acknowledged. It can be made to err, so that a test sees whether that is noticed.
 */
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { JetStreamSender } from '../../src/log/jetstream-sender.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { mapAnswer, mapRequest } from '../../src/wire/map-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { commitOf, ghostOf, postOf } from './fan-records.ts';
import type { FanWrite } from './known-answers.ts';

export type WriterSettings = {
  readonly mapJson: unknown;
  /** Null where nodes have the logs. */
  readonly logUrl: string | null;
  /** Of the cluster. */
  readonly token: string;
  /** DIDs of the actors, each of whom gets a post. */
  readonly actors: readonly string[];
  /**
   * The first creation from this write on is acknowledged though it is not done, or done twice. If
   * what was not done is undone, nothing is missing: then the next one is not done either.
   */
  readonly error: { readonly kind: 'lost' | 'doubled'; readonly id: number } | null;
};

const callMsMax = 5_000;
const { mapJson, logUrl, token, actors, error } = JSON.parse(process.argv[2]!) as WriterSettings;
let map = parseShardMap(mapJson);
const caller = new NodeClient({
  map,
  clusterToken: token,
  onOtherEpoch: (node, epoch) => epoch > map.epoch && void readMapOf(node).catch(() => {}),
});

/** Takes the map that a node has. */
async function readMapOf(node: string): Promise<void> {
  const payload = mapRequest.encode({ caller: null, withProcesses: false });
  const answer = await caller.call({ node, method: nodeCalls.map, payload, timeoutMs: callMsMax });
  const found = parseShardMap(mapAnswer.decode(answer).committed.json);
  if (found.epoch <= map.epoch) return;
  map = found;
  caller.setMap(map);
}

const serverOf = (url: string): JetStreamSender =>
  new JetStreamSender({
    server: { urls: [url], credentialsFile: null, streams: null },
    map: () => map,
    clock: systemClock,
    random: seededRandom(process.pid),
    note: (message) => console.error(message),
  });
const server = logUrl === null ? {} : { server: serverOf(logUrl) };
const log = new RemoteLog({ caller, map: () => map, lingerMs: 2, ...server });

let planted: 'lost' | 'doubled' | null = error?.kind ?? null;
let lost: FanWrite | null = null;

function isOfSameEdge(a: FanWrite, b: FanWrite): boolean {
  return a.fan === b.fan && a.kind === b.kind && a.actor === b.actor;
}

async function append(write: FanWrite): Promise<void> {
  const isPlanted = error !== null && write.id >= error.id && write.isThere;
  const kind = isPlanted ? planted : null;
  if (isPlanted) planted = null;
  if (kind === 'lost') lost = write;
  else if (lost !== null && isOfSameEdge(lost, write)) [planted, lost] = ['lost', null];
  if (kind !== 'lost') await log.append(write.fan, commitOf(write, actors));
  if (kind === 'doubled') {
    const again = { ...write, fan: ghostOf(write.fan), commit: 0 };
    await log.append(again.fan, commitOf(again, actors));
  }
  console.log(write.id);
}

await Promise.all(actors.map((did) => log.append(did, postOf(did))));
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) void append(JSON.parse(line) as FanWrite);
process.exit(0);

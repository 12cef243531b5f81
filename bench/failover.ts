/**
 * What readers see of lost nodes, and how soon writes go on after a promotion.
 *
 * Three nodes in processes of their own hold one shard, with its log on a NATS server of this
 * machine. A router in this process reads followers, an open loop at a fixed rate, in phases: all
 * nodes, a replica killed, a primary killed. Writes go on at the log meanwhile. The time from the
 * push of the new map to the answer of a write by RPC counts.
 *
 * Arguments: the reads a second.
 */
import { systemClock } from '../src/base/clock.ts';
import { encodeEntry } from '../src/entry/entry-codec.ts';
import { encodeMessage } from '../src/proto/codec.ts';
import type { ServiceRouter } from '../src/router/plan/service-router.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { NatsServer } from '../test/support/nats-server.ts';
import { ReplicatedCluster } from '../test/support/replicated-cluster.ts';
import { until } from '../test/support/until.ts';
import { type BenchOptions, type BenchResult, type Figures, runOpenLoop } from './report.ts';

export const question =
  'What do readers see when a replica or a primary is killed, and how soon do writes go on after a promotion?';

const slots = 16;
const nodes = ['n0', 'n1', 'n2'];
const goals = { replica_p999_ratio: 3, replica_errors: 0, primary_errors: 0, writes_again_s: 10 } as const;
const waitMsMax = 60_000;

type Started = { readonly cluster: ReplicatedCluster; readonly router: ServiceRouter };

/** Reads at a fixed rate; `meanwhile` happens a third of the way in. */
async function readFor(
  { cluster, router }: Started,
  { perSecond, durationMs }: Phase,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Figures> {
  const actors = Array.from({ length: slots }, (_unused, slot) => cluster.didIn(slot, 1));
  const requests = actors.map((actorDid) => encodeMessage('GetFollowersRequest', { actorDid, limit: 50 }));
  const reading = runOpenLoop({
    perSecond,
    durationMs,
    send: async (index) => {
      await router.handle('GetFollowers', requests[index % slots]!, { caller: 'bench', timeoutMs: 5_000 });
    },
  });
  await systemClock.sleep(durationMs / 3);
  await meanwhile();
  const { count, failed, unsent, latency } = await reading;
  return { reads: count, errors: failed, unsent, ...latency };
}

/** Follows on and on, until told to end. */
function writeOn(cluster: ReplicatedCluster): { end(): Promise<void> } {
  let isOver = false;
  const writing = (async () => {
    for (let round = 0; !isOver; round++) {
      await cluster.follow(cluster.fansFrom(1_000 + 100 * round, slots), cluster.didIn(round % slots, 1));
      await systemClock.sleep(50);
    }
  })();
  const end = async (): Promise<void> => {
    isOver = true;
    await writing;
  };
  return { end };
}

/** Promotes a replica of the lost primary. Returns how long until it answers a write. Units: s. */
async function promoteAndWrite({ cluster, router }: Started): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await cluster.push(([shard]) => [{ ...shard!, primary: 'n1', replicas: ['n2', 'n0'] }]);
  router.useMap(cluster.map);
  const did = cluster.didIn(0, 1);
  const write = { type: 'notification-seen', seenMs: systemClock.nowMs() } as const;
  const payload = encodeEntry({ kind: 'private', did, write });
  const call = { node: 'n1', method: nodeCalls.write, payload, timeoutMs: 5_000 };
  const isWritten = async (): Promise<boolean> =>
    Promise.resolve(cluster.client.call(call)).then(
      () => true,
      () => false,
    );
  await until(isWritten, waitMsMax);
  return (systemClock.monotonicMs() - startMs) / 1_000;
}

export async function run({ args, quick, print }: BenchOptions): Promise<BenchResult> {
  const perSecond = Number(args[0] ?? 300);
  const server = await NatsServer.start();
  const cluster = await ReplicatedCluster.make(server, slots, nodes, [
    { primary: 'n0', replicas: ['n1', 'n2'], slots: [`0-${slots - 1}`] },
  ]);
  cluster.areApart = true;
  const router = cluster.makeRouter();
  try {
    await Promise.all(nodes.map((name) => cluster.startNode(name)));
    const figures = await measure({ cluster, router }, { perSecond, durationMs: quick ? 6_000 : 20_000 }, print);
    return { dataSize: `${slots} slots, three copies, ${perSecond} reads a second`, figures };
  } finally {
    await router[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  }
}

type Phase = { readonly perSecond: number; readonly durationMs: number };

async function measure(started: Started, phase: Phase, print: BenchOptions['print']): Promise<Figures> {
  const { cluster } = started;
  await until(() => areAllServed(started), waitMsMax);
  const writing = writeOn(cluster);
  print('all nodes serve');
  await readFor(started, phase);
  const usual = await readFor(started, phase);
  print('a replica is killed');
  const replica = await readFor(started, phase, () => cluster.killNode('n2'));
  await cluster.startNode('n2');
  await until(() => areAllServed(started), waitMsMax);
  print('the primary is killed');
  const primary = await readFor(started, phase, () => cluster.killNode('n0'));
  const writesAgainS = await promoteAndWrite(started);
  await writing.end();
  const ratio = Number(replica['p999_ms']) / Number(usual['p999_ms']);
  const byPhase = { usual, replica_killed: replica, primary_killed: primary };
  return { goals, ...byPhase, replica_p999_ratio: ratio, writes_again_s: writesAgainS };
}

/** True once all nodes answer reads, and no slot is new to any. */
async function areAllServed({ cluster, router }: Started): Promise<boolean> {
  if (router.fanOut.copiesOf(0).length < nodes.length) return false;
  const statuses = await Promise.all(nodes.map((name) => cluster.statusOf(name)));
  return statuses.flat().every(({ condition }) => condition === 'complete');
}

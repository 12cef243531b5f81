/** Slots that come and go while their nodes run: what else these serve is served all the while. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { fetchingPath } from '../../src/node/snapshot-fetch.ts';
import { slotsOfNode } from '../../src/shardmap/shard-map.ts';
import { afterStep, beginMoves, type MoveStep } from '../../src/shardmap/slot-move.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { searchStatusAnswer } from '../../src/wire/search-messages.ts';
import { rebuildRequest } from '../../src/wire/slot-verify.ts';
import { dropLog } from '../support/drop-log.ts';
import { NatsServer } from '../support/nats-server.ts';
import { ReplicatedCluster } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 60_000;
const slots = 4;

const resources = stopAfterEach();

/** Slots 0 and 1 of n0, slots 2 and 3 of n1, and nothing of n2. */
async function start(threads: ReplicatedCluster['threads']) {
  const server = await NatsServer.start();
  resources.use(server);
  const nodes = ['n0', 'n1', 'n2'];
  const shards = [
    { primary: 'n0', replicas: [], slots: ['0-1'] },
    { primary: 'n1', replicas: [], slots: ['2-3'] },
  ];
  const cluster = await ReplicatedCluster.make(server, slots, nodes, shards);
  resources.use(cluster);
  cluster.threads = threads;
  await Promise.all(nodes.map((name) => cluster.startNode(name)));
  return { server, cluster };
}

/** Reads the followers of actors at the primaries of their slots, on and on. */
function readOn(cluster: ReplicatedCluster, actors: readonly string[], seen: readonly (readonly string[])[]) {
  const result = { reads: 0, failures: [] as string[] };
  let isOver = false;
  const reading = (async () => {
    while (!isOver) {
      const answers = await Promise.all(actors.map((actor) => cluster.followersOf(actor).catch(String)));
      for (const [index, answer] of answers.entries()) {
        if (typeof answer === 'string') result.failures.push(answer);
        else if (seen[index]!.some((fan) => !answer.includes(fan)))
          result.failures.push(`it lacks some: ${answer.length}`);
        else result.reads++;
      }
      await systemClock.sleep(2);
    }
  })();
  return {
    end: async () => {
      isOver = true;
      await reading;
      return result;
    },
  };
}

async function untilInStep(cluster: ReplicatedCluster, node: string, slot: number): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const status = (await cluster.statusOf(node)).find((each) => each.slot === slot);
    return status !== undefined && status.log === null && status.behindMs < 1_000;
  };
  await until(isThere, waitMsMax);
}

async function untilActing(cluster: ReplicatedCluster, node: string, slot: number): Promise<void> {
  await until(async () => (await cluster.statusOf(node)).some((each) => each.slot === slot && each.acts), waitMsMax);
}

const step = (cluster: ReplicatedCluster, what: MoveStep): Promise<void> =>
  cluster.pushMap(afterStep(cluster.mapJson, cluster.map, what, []));

async function move(cluster: ReplicatedCluster, slot: number, from: string, to: string): Promise<void> {
  await cluster.pushMap(beginMoves(cluster.mapJson, cluster.map, [{ slot, from, to }]));
  await untilInStep(cluster, to, slot);
  await step(cluster, 'hand-over');
  await untilActing(cluster, to, slot);
}

async function slotsSearchedAt(cluster: ReplicatedCluster, node: string): Promise<number[]> {
  const call = { node, method: nodeCalls.searchStatus, payload: Buffer.alloc(0), timeoutMs: 10_000 };
  const { slots: searched } = searchStatusAnswer.decode(await cluster.client.call(call));
  const ready = searched.filter(({ state }) => state === 'ready').map(({ slot }) => slot);
  return ready.sort((one, other) => one - other);
}

const endings = ({ notes }: ReplicatedCluster): string[] => notes.filter((note) => / ends: | ended with /.test(note));

/** Has each actor of a slot followed. Returns them, and who follows each. */
async function fill(cluster: ReplicatedCluster): Promise<{ actors: string[]; fansOf: string[][] }> {
  const actors = [0, 1, 2, 3].map((slot) => cluster.didIn(slot, 1));
  const fansOf = actors.map((_actor, index) => cluster.fansFrom(10 + 100 * index, 8));
  for (const [index, actor] of actors.entries()) await cluster.follow(fansOf[index]!, actor);
  for (const [index, actor] of actors.entries()) await cluster.haveFollowed(fansOf[index]!, actor);
  await cluster.settle();
  return { actors, fansOf };
}

it.each([
  ['one serving thread', {}],
  ['serving threads and an index', { applyThreads: 2, serveThreads: 2, searchThreads: 1 }],
] as const)(
  'a slot moves there and back, between nodes of %s',
  async (_what, threads) => {
    const { server, cluster } = await start(threads);
    const { actors, fansOf } = await fill(cluster);
    // So that a copy is needed.
    await dropLog(server);
    const reading = readOn(cluster, actors.slice(1), fansOf.slice(1));
    await move(cluster, 0, 'n0', 'n1');
    const meanwhile = cluster.fansFrom(1_000, 8);
    await cluster.follow(meanwhile, actors[0]!);
    await cluster.haveFollowed([...fansOf[0]!, ...meanwhile], actors[0]!);
    await cluster.expectSame(0);
    await step(cluster, 'drop');
    const isAt = (node: string): boolean => existsSync(slotPath(cluster.dataDirOf(node), 0));
    await until(() => !isAt('n0'), waitMsMax);
    expect((await cluster.statusOf('n0')).map(({ slot }) => slot)).toEqual([1]);
    // And back, into a folder of the same name.
    await move(cluster, 0, 'n1', 'n0');
    await cluster.expectSame(0);
    await step(cluster, 'drop');
    await until(() => !isAt('n1'), waitMsMax);
    const later = cluster.fansFrom(2_000, 8);
    await cluster.follow(later, actors[0]!);
    await cluster.haveFollowed([...fansOf[0]!, ...meanwhile, ...later], actors[0]!);
    const { reads, failures } = await reading.end();
    expect(failures).toEqual([]);
    expect(reads).toBeGreaterThan(100);
    expect(endings(cluster)).toEqual([]);
    for (const node of 'searchThreads' in threads ? ['n0', 'n1'] : []) {
      const held = slotsOfNode(cluster.map, node);
      await until(async () => (await slotsSearchedAt(cluster, node)).join() === held.join(), waitMsMax);
    }
    // What is on disk is what the next start finds.
    for (const node of ['n0', 'n1']) {
      await cluster.stopNode(node);
      await cluster.startNode(node);
    }
    await cluster.haveFollowed([...fansOf[0]!, ...meanwhile, ...later], actors[0]!);
  },
  testMsMax,
);

it(
  'a move that is cancelled leaves nothing, and a replica begins again from a copy',
  async () => {
    const { server, cluster } = await start({});
    const { actors, fansOf } = await fill(cluster);
    await dropLog(server);
    const reading = readOn(cluster, actors.slice(1), fansOf.slice(1));
    const isGone = (): boolean =>
      [slotPath, fetchingPath].every((pathOf) => !existsSync(pathOf(cluster.dataDirOf('n1'), 0)));
    // As slowly as can be, so that it is cancelled on the way.
    const wish = { slot: 0, from: 'n0', to: 'n1' };
    await cluster.pushMap(beginMoves(cluster.mapJson, cluster.map, [wish], { bytesPerSecond: 1_024 }));
    await until(() => existsSync(fetchingPath(cluster.dataDirOf('n1'), 0)), waitMsMax);
    await step(cluster, 'cancel');
    await until(isGone, waitMsMax);
    await cluster.pushMap(beginMoves(cluster.mapJson, cluster.map, [wish]));
    await untilInStep(cluster, 'n1', 0);
    const installs = (): number =>
      cluster.notes.filter((note) => /^n1: slots begin again from copies/.test(note)).length;
    expect(installs()).toBe(1);
    const payload = rebuildRequest.encode({ slot: 0, isDryRun: false });
    await cluster.client.call({ node: 'n1', method: nodeCalls.rebuild, payload, timeoutMs: 10_000 });
    await until(() => installs() === 2, waitMsMax);
    await untilInStep(cluster, 'n1', 0);
    await cluster.expectSame(0);
    await step(cluster, 'cancel');
    await until(isGone, waitMsMax);
    const { failures } = await reading.end();
    expect(failures).toEqual([]);
    expect(endings(cluster)).toEqual([]);
  },
  testMsMax,
);

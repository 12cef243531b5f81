/**
 * A node whose disk is lost, in processes as an operator runs them: refused, begun again, repaired.
 *
 * What is right at the end is what another cluster holds that followed the same network from its
 * beginning. Records are written and deleted between the loss and the repair.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { callService, listOf, type ServiceAnswer } from '../../../src/cli/service-call.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import {
  clusterFolder,
  type RunningCluster,
  removeFolder,
  runCommand,
  sourceProgram,
  startCluster,
} from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const network = ['--demo', '--demo-actors=16', '--demo-records=350'];
const quiet = [...network, '--demo-rate=0'];
const timeoutMs = 30_000;
const slots = 4;
/** Those of n1. */
const lostSlots = [2, 3];
const keptSlots = [0, 1];
const allSlots = [...keptSlots, ...lostSlots];
const unknownDid = didIn(2);

function didIn(slot: number): string {
  for (let number = 0; ; number++) {
    const did = `did:web:nobody${number}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

let folders: string[];
let running: RunningCluster | null;

beforeEach(() => {
  folders = [clusterFolder(), clusterFolder()];
  running = null;
});

afterEach(async () => {
  await running?.stop();
  for (const folder of folders) removeFolder(folder);
});

function ask(method: string, request: object): Promise<ServiceAnswer> {
  return callService({ url: running!.run.router.url, timeoutMs }, method, request);
}

async function settle(): Promise<void> {
  await adminRequest({ url: running!.run.router.url, path: '/v1/settle', body: {}, token: null, timeoutMs });
}

type Repo = { readonly did: string; readonly rev: string };

async function repos(): Promise<Repo[]> {
  const path = '/xrpc/com.atproto.sync.listRepos?limit=100';
  const answer = await adminRequest({ url: running!.run.demo!.url, path, token: null, timeoutMs });
  return listOf(answer as ServiceAnswer, 'repos') as unknown as Repo[];
}

/** Waits until what the network has sent of these slots' accounts is applied. */
async function catchUp(ofSlots: readonly number[]): Promise<void> {
  for (const { did: actorDid, rev } of await repos()) {
    if (!ofSlots.includes(slotOf(actorDid, slots))) continue;
    await until(async () => (await ask('GetLatestRev', { actorDid }))['rev'] === rev || undefined, timeoutMs);
  }
  await settle();
}

async function start(folder: string, words: readonly string[]): Promise<void> {
  running = await startCluster(folder, words);
}

async function stop(): Promise<void> {
  await running!.stop();
  running = null;
}

/** Runs a command until `isDone` of what it printed, then ends it. Returns what it printed. */
async function runUntil(words: readonly string[], isDone: (printed: string) => boolean): Promise<string> {
  const child = spawn(sourceProgram[0]!, [...sourceProgram.slice(1), ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
  }
  try {
    await until(() => isDone(printed) || child.exitCode !== null, timeoutMs);
  } finally {
    child.kill('SIGTERM');
    await closed;
  }
  return printed;
}

/** Has the network go on for as many bytes of its journal. */
async function goOnFor(bytes: number, dataDir: string): Promise<void> {
  const journal = join(dataDir, 'demo', 'journal');
  const before = statSync(journal).size;
  const words = ['demo', `--data-dir=${dataDir}`, '--demo-port=0', ...network.slice(1), '--demo-rate=500'];
  await runUntil(words, () => statSync(journal).size > before + bytes);
}

/** Times of indexing are those of the repair. */
function withoutTimes(answer: ServiceAnswer): unknown {
  return JSON.parse(JSON.stringify(answer, (key, value: unknown) => (key === 'indexedAt' ? undefined : value)));
}

/** Returns what a router says of all actors and their posts, by the question. */
async function answersAbout(actors: readonly string[]): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {};
  const note = async (method: string, request: object): Promise<ServiceAnswer> => {
    const answer = await ask(method, request);
    answers[`${method} ${JSON.stringify(request)}`] = withoutTimes(answer);
    return answer;
  };
  await note('GetActors', { dids: actors });
  await note('GetCountsForUsers', { dids: actors });
  for (const actorDid of actors) {
    const feed = await note('GetAuthorFeed', { actorDid, limit: 100 });
    for (const method of ['GetFollowers', 'GetFollows', 'GetActorLikes', 'GetBlocks', 'GetNotifications']) {
      await note(method, { actorDid, limit: 100 });
    }
    const refs = listOf(feed, 'items').map(({ uri }) => ({ uri }));
    await note('GetInteractionCounts', { refs });
    if (refs[0] !== undefined) await note('GetThread', { postUri: refs[0].uri, above: 10, below: 20 });
    for (const { uri } of refs) {
      await note('GetLikesBySubject', { subject: { uri }, limit: 100 });
    }
  }
  return answers;
}

/** Returns who of the lost slots follows an actor or likes a post elsewhere: `<question>|<DID>`. */
function lostFansIn(answers: Record<string, unknown>): Set<string> {
  const isLost = (did: string): boolean => lostSlots.includes(slotOf(did, slots));
  const fans = Object.entries(answers).flatMap(([question, answer]) => {
    if (!/^(GetFollowers|GetLikesBySubject) /.test(question) || isLost(/did:plc:\w+/.exec(question)![0])) return [];
    const uris = JSON.stringify(answer).match(/at:\/\/[^"]+/g) ?? [];
    return uris
      .map((uri) => uri.split('/')[2]!)
      .filter(isLost)
      .map((did) => `${question}|${did}`);
  });
  return new Set(fans);
}

type SlotState = { readonly condition: string; readonly cursor: number };

async function slotStates(): Promise<SlotState[]> {
  const { out } = await runCommand(['status', `--data-dir=${running!.dataDir}`, '--json']);
  return (JSON.parse(out) as { nodes: { slots: SlotState[] }[] }).nodes.flatMap((node) => node.slots);
}

async function conditions(): Promise<string[]> {
  return (await slotStates()).map(({ condition }) => condition);
}

function upWords(folder: string): string[] {
  const flags = [`--data-dir=${join(folder, 'data')}`, `--map=${join(folder, 'map.json')}`];
  // The network keeps its port, or ingest would read it from its beginning again.
  const ports = ['--router-port=0', '--http2-port=0', '--ingest-port=0', '--demo-port=0'];
  return ['up', ...flags, ...ports, ...quiet];
}

describe('a node whose folder is lost', () => {
  it('is refused, begins again if told to, and holds after a repair what the network has', async () => {
    const [folder, reference] = folders as [string, string];
    const dataDir = join(folder, 'data');
    await start(folder, quiet);
    await catchUp(allSlots);
    const actors = (await repos()).map(({ did }) => did);
    const before = await answersAbout(actors);
    await stop();

    rmSync(join(dataDir, 'node-n1'), { recursive: true });
    const refused = await runUntil(upWords(folder), (printed) => printed.includes('repair slot'));
    expect(refused).toContain('slots 2, 3 are new here, and node n0 knows an earlier generation of them');
    expect(refused).toMatch(/--begin-again 2,3, then run `skyshard repair slot <n>` for each/);

    // Written and deleted while n1 is down: it hears of it before it is repaired.
    await goOnFor(45_000, dataDir);
    await start(folder, [...quiet, ...lostSlots.map((slot) => `--begin-again=${slot}`)]);
    await catchUp(keptSlots);
    expect(await conditions()).toEqual(['complete', 'complete', 'incomplete', 'incomplete']);
    await expect(ask('GetFollowers', { actorDid: unknownDid, limit: 10 })).rejects.toMatchObject({
      code: 'Unavailable',
    });

    const counted = await runCommand(['repair', 'slot', '2', '--dry-run', `--data-dir=${dataDir}`]);
    expect(counted.out).toMatch(/repos and their identities would be fetched again\nLost unless a backup has it:\n/);
    const stopped = await runCommand(['repair', 'slot', '2', '--stop', `--data-dir=${dataDir}`]);
    expect(stopped.out).toBe('none runs\n');
    for (const slot of lostSlots) {
      const repaired = await runCommand(['repair', 'slot', String(slot), `--data-dir=${dataDir}`]);
      expect(repaired.code, repaired.err).toBe(0);
      expect(repaired.out).toContain(`slot ${slot} is complete`);
      expect(repaired.out).toMatch(/Lost unless a backup has it:\n {2}takedowns/);
    }
    await catchUp(allSlots);
    expect(await conditions()).toEqual(['complete', 'complete', 'complete', 'complete']);
    const found = await answersAbout(actors);
    // Nobody has a record of these edges any more; the network's seed has some.
    const kept = lostFansIn(found);
    const gone = [...lostFansIn(before)].filter((fan) => fan.split('|')[0]! in found && !kept.has(fan));
    expect(gone).not.toEqual([]);
    await stop();

    cpSync(join(dataDir, 'demo'), join(reference, 'data', 'demo'), { recursive: true });
    await start(reference, quiet);
    await catchUp(allSlots);
    expect(found).toEqual(await answersAbout(actors));
  }, 180_000);

  it('and that has no other node is fed nothing by ingest until it begins again', async () => {
    const [folder] = folders as [string, string];
    const dataDir = join(folder, 'data');
    const shards = [{ name: 's0', primary: 'n0', slots: ['0-3'] }];
    const nodes = { n0: { host: '127.0.0.1', port: 0 } };
    writeFileSync(join(folder, 'map.json'), JSON.stringify({ epoch: 1, slots, nodes, shards }));
    await start(folder, quiet);
    await catchUp(allSlots);
    await stop();

    rmSync(join(dataDir, 'node-n0'), { recursive: true });
    await goOnFor(5_000, dataDir);
    const refused = await runUntil(upWords(folder), (printed) => printed.includes('repair slot'));
    expect(refused).toContain('slots of node n0 lack what they were fed before: 0,1,2,3');
    expect(refused).toContain('start once with --begin-again 0,1,2,3');

    rmSync(join(dataDir, 'node-n0'), { recursive: true });
    await start(folder, [...quiet, '--begin-again=0,1,2,3']);
    await settle();
    expect(await conditions()).toEqual(['incomplete', 'incomplete', 'incomplete', 'incomplete']);
    // What came in between has arrived.
    await until(async () => (await slotStates()).some(({ cursor }) => cursor > 5) || undefined, timeoutMs);
  }, 120_000);
});

/** A serving thread that dies ends its node, which `up` starts again; one that hangs does not. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcLoad, grpcRequest } from '../../../bench/grpc-load.ts';
import { readRunFile } from '../../../src/cli/process/run-file.ts';
import { decodeMessage, encodeMessage } from '../../../src/proto/codec.ts';
import { endHang, isHanging, plantFault } from '../../support/planted-thread-fault.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../../support/running-cluster.ts';
import { projectRoot } from '../../support/source-scan.ts';
import { until } from '../../support/until.ts';

const preload = join(projectRoot, 'test', 'support', 'planted-thread-fault.ts');
const program = [process.execPath, '--import', preload, join(projectRoot, 'src', 'cli', 'main.ts')];
const actorDid = 'did:web:viewer.example';

let folder: string;
let nodeDir: string;
let cluster: RunningCluster;
const muted: string[] = [];

beforeAll(async () => {
  folder = clusterFolder(1);
  cluster = await startCluster(folder, ['--serve-threads=3'], program);
  nodeDir = join(cluster.dataDir, 'node-n0');
}, 120_000);

afterAll(async () => {
  expect(await cluster.stop()).toBe(0);
  removeFolder(folder);
}, 60_000);

async function mute(load: GrpcLoad): Promise<void> {
  const subjectDid = `did:web:muted${muted.length}.example`;
  await load.ask(grpcRequest('CreateActorMute', encodeMessage('CreateActorMuteRequest', { actorDid, subjectDid })));
  muted.push(subjectDid);
}

const page = grpcRequest('GetMutes', encodeMessage('GetMutesRequest', { actorDid, limit: 50, cursor: '' }));

async function mutesSeenBy(load: GrpcLoad): Promise<string[]> {
  const { mutes } = decodeMessage('GetMutesResponse', Buffer.from(await load.ask(page)));
  return mutes.map(({ did }) => did).sort();
}

describe.each([
  ['throw', 'a planted fault'],
  ['exit', 'a serving thread ended with code 3'],
] as const)('a serving thread that dies by %s', (fault, because) => {
  it('ends its node by an exit code and a reason, and the node serves again on its ports', async () => {
    const before = cluster.run.router;
    const first = new GrpcLoad(before.port, 1);
    await mute(first);
    const { pid } = readRunFile(cluster.dataDir)!.nodes['n0']!;
    const printedBefore = cluster.printed.err.length;
    plantFault(nodeDir, fault);
    await until(() => (readRunFile(cluster.dataDir)?.nodes['n0']?.pid ?? pid) !== pid, 60_000);
    first.close();
    const printed = cluster.printed.err.slice(printedBefore);
    expect(printed).toContain(`a serving thread failed, and the node stops because="${because}"`);
    expect(printed).toContain('n0 ended; it is started again how="exit code 70"');
    expect(readRunFile(cluster.dataDir)!.router).toMatchObject({ port: before.port, http2Port: before.http2Port });
    const second = new GrpcLoad(before.port, 1);
    expect(await mutesSeenBy(second)).toEqual([...muted].sort());
    second.close();
  }, 120_000);
});

describe('a serving thread that hangs', () => {
  it('holds up neither writes nor the other threads, and shows what was written when it goes on', async () => {
    const loads = Array.from({ length: 24 }, () => new GrpcLoad(cluster.run.router.port, 1));
    for (const load of loads) await mutesSeenBy(load);
    plantFault(nodeDir, 'hang');
    await until(() => isHanging(nodeDir));
    // Which connections are of that thread, only their silence says.
    const free = new Set<GrpcLoad>();
    const askedAll = loads.map((load) =>
      mutesSeenBy(load).then((seen) => {
        free.add(load);
        return seen;
      }),
    );
    await until(() => free.size >= loads.length / 3);
    const others = [...free];
    for (const load of others) await mute(load);
    for (const load of others) expect(await mutesSeenBy(load)).toEqual([...muted].sort());
    expect(free.size).toBeLessThan(loads.length);
    endHang(nodeDir);
    await Promise.all(askedAll);
    for (const load of loads) expect(await mutesSeenBy(load)).toEqual([...muted].sort());
    for (const load of loads) load.close();
  }, 120_000);
});

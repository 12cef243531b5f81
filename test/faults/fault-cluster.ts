/**
 * Real processes for the lane: three nodes, a router, the log server, if any, and the writer.
 *
 * Each is in a box of its own where this user may make network namespaces, else on loopback. Nodes
 * have small disks as root, and clocks of their own where libfaketime is installed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Boxes, problemWithBoxes } from '../../ops/boxes.ts';
import { adminRequest } from '../../src/cli/admin-request.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import type { MapJson } from '../../src/shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { environmentFiles } from '../../src/storage/environment.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { nodeStatusMessage, type SlotStatus } from '../../src/wire/node-status.ts';
import { digestAnswer, digestRequest } from '../../src/wire/slot-digest.ts';
import { freePort } from '../support/crash-cluster.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { faketimeLibrary } from '../support/required-servers.ts';
import { type Ended, runCommand, sourceProgram } from '../support/running-cluster.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { didIn, postTextOf } from './fan-records.ts';
import { OperatorRun } from './operator-run.ts';
import { RoleProcess } from './role-process.ts';
import type { WriterSettings } from './writer-child.ts';

export const slotCount = 4;
export const nodeNames = ['n0', 'n1', 'n2'] as const;
export type NodeName = (typeof nodeNames)[number];
export type RoleName = NodeName | 'router' | 'log' | 'writer' | 'ingest';

/** The boxes, in order. Writer and ingest are where the router is. */
const boxRoles = [...nodeNames, 'log', 'router'] as const;
export const token = 'a-token-of-the-fault-lane';
/** Of nodes that have the logs of their slots, each has some, and no other has a copy. */
const ownShards = nodeNames.map((primary, at) => {
  return { name: `s${at}`, primary, replicas: [], slots: [at === 2 ? '2-3' : `${at}`] };
});
const replicatedShards = [
  { name: 's0', primary: 'n0', replicas: ['n1', 'n2'], slots: ['0-1'] },
  { name: 's1', primary: 'n1', replicas: ['n2', 'n0'], slots: ['2-3'] },
];
/** A target of a move must have 256 MiB left, and what is applied takes some. */
const diskMib = 400;
const callMsMax = 5_000;
const settleMsMax = 120_000;

export type ClusterOptions = {
  /** Absent: in boxes where that is possible. */
  readonly hasBoxes?: boolean;
  /** False: logs are in the folders of the slots, which have one copy each. */
  readonly hasLogServer: boolean;
  readonly planted: WriterSettings['error'];
  /** How far behind its log a replica may be and answer. Units: ms. */
  readonly readLagMs: number;
  /** Takes the id of each write that the writer has in the log. */
  readonly onWritten: (id: number) => void;
  /** Called when a writer is ready, which knows nothing of what another was given. */
  readonly onWriterReady: () => void;
};

export class FaultCluster implements AsyncDisposable {
  readonly folder = makeMemoryFolder('skyshard-faults-');
  readonly boxes: Boxes | null;
  /** Why faults of a kind are left out; null where they are not. */
  readonly without: { boxes: string | null; disks: string | null; clocks: string | null };
  readonly actors = Array.from({ length: slotCount }, (_unused, slot) => didIn(slot, 1, slotCount));
  readonly client: NodeClient;
  readonly roles = new Map<RoleName, RoleProcess>();
  readonly routerUrl: string;
  #mapJson: MapJson;
  readonly #ports: Readonly<Record<string, number>>;
  readonly #options: ClusterOptions;
  readonly #disks: string[] = [];

  private constructor(options: ClusterOptions, ports: Readonly<Record<string, number>>) {
    this.#options = options;
    this.#ports = ports;
    const problem = options.hasBoxes === false ? 'it was not asked for' : problemWithBoxes();
    this.boxes = problem === null ? new Boxes(`skyf${process.pid}`, join(this.folder, 'boxes')) : null;
    this.boxes?.up(boxRoles.length);
    this.without = {
      boxes: problem,
      disks: this.#mountDisks(),
      clocks: faketimeLibrary() === null ? clockProblem : null,
    };
    const nodes = Object.fromEntries(nodeNames.map((name) => [name, { host: this.hostOf(name), port: ports[name]! }]));
    this.#mapJson = {
      cluster: 'faults',
      epoch: 1,
      slots: slotCount,
      nodes,
      shards: options.hasLogServer ? replicatedShards : ownShards,
      clusterTokenFile: join(this.folder, 'token'),
      adminTokenFile: join(this.folder, 'token'),
    };
    writeFileSync(join(this.folder, 'token'), token, { mode: 0o600 });
    writeFileSync(this.mapPath, JSON.stringify(this.#mapJson));
    this.client = new NodeClient({ map: this.map, clusterToken: token });
    this.routerUrl = `http://${this.hostOf('router')}:${ports['router']}`;
    this.#makeRoles();
  }

  /** Starts all roles, and waits until every slot is complete at every copy. */
  static async start(options: ClusterOptions): Promise<FaultCluster> {
    const ports: Record<string, number> = {};
    for (const role of [...boxRoles, 'http2']) ports[role] = await freePort();
    const cluster = new FaultCluster(options, ports);
    try {
      await cluster.roles.get('log')?.start();
      await Promise.all([...nodeNames, 'router' as const].map((name) => cluster.role(name).start()));
      await until(() => cluster.#isComplete(), settleMsMax);
      await cluster.role('writer').start();
      const ends = [...cluster.roles.values()].flatMap((role) => role.ends);
      if (ends.length > 0) throw new Error(ends.join('\n'));
    } catch (thrown) {
      const notes = [...cluster.roles.values()].map(({ name, notes: said }) => `${name}: ${said.slice(-3).join('\n')}`);
      await cluster[Symbol.asyncDispose]();
      throw new Error(`the cluster did not start: ${(thrown as Error).message}\n${notes.join('\n')}`);
    }
    return cluster;
  }

  get mapPath(): string {
    return join(this.folder, 'map.json');
  }

  get map(): ShardMap {
    return parseShardMap(this.#mapJson);
  }

  role(name: RoleName): RoleProcess {
    return this.roles.get(name)!;
  }

  boxOf(role: RoleName): number {
    const box = role === 'writer' || role === 'ingest' ? 'router' : role;
    return boxRoles.indexOf(box) + 1;
  }

  hostOf(role: RoleName): string {
    return this.boxes?.addressOf(this.boxOf(role)) ?? '127.0.0.1';
  }

  /** Returns the data folder of a node, as this process sees it. */
  dataDirOf(node: NodeName): string {
    return join(this.boxes?.folderOf(this.boxOf(node)) ?? this.folder, `data-${node}`);
  }

  clockFileOf(node: NodeName): string {
    return join(this.folder, `clock-${node}`);
  }

  #mountDisks(): string | null {
    for (const node of nodeNames) {
      const folder = this.dataDirOf(node);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const problem = mountSmallDisk(folder, diskMib);
      if (problem !== null) return problem;
      this.#disks.push(folder);
    }
    return null;
  }

  #makeRoles(): void {
    const add = (
      name: RoleName,
      spec: Omit<ConstructorParameters<typeof RoleProcess>[0], 'name' | 'words'>,
      words: readonly string[],
    ): void => {
      const prefix = this.boxes?.prefixOf(this.boxOf(name)) ?? [];
      this.roles.set(name, new RoleProcess({ name, words: () => [...prefix, ...words], ...spec }));
    };
    for (const node of nodeNames)
      add(node, { environment: this.#clockEnvironment(node), onEnded: removeClock }, this.#nodeWords(node));
    add('router', {}, this.#routerWords());
    const { hasLogServer, onWritten, onWriterReady, planted } = this.#options;
    if (hasLogServer) add('log', { untilReady: () => this.#untilLogAnswers() }, this.#logWords());
    const settings: WriterSettings = {
      mapJson: this.#mapJson,
      logUrl: this.logUrl,
      token,
      actors: this.actors,
      error: planted,
    };
    const onLine = (line: string): void => (line === 'ready' ? onWriterReady() : onWritten(Number(line)));
    const script = join(import.meta.dirname, 'writer-child.ts');
    add('writer', { onLine }, [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      script,
      JSON.stringify(settings),
    ]);
  }

  /** Null where nodes have the logs. */
  get logUrl(): string | null {
    return this.#options.hasLogServer ? `nats://${this.hostOf('log')}:${this.#ports['log']}` : null;
  }

  /** What processes are told of where the log is. */
  get logFlags(): readonly string[] {
    return this.logUrl === null ? [] : [`--log=${this.logUrl}`];
  }

  #nodeWords(node: NodeName): string[] {
    const dataDir = this.boxes === null ? this.dataDirOf(node) : join(this.boxes.ownFolder, `data-${node}`);
    const flags = [`--map=${this.mapPath}`, `--data-dir=${dataDir}`, ...this.logFlags, '--log-level=warn'];
    const sizes = [
      ...(this.logUrl === null ? [] : [`--log-bytes-max=${2 ** 28}`]),
      `--slot-map-bytes=${2 ** 28}`,
      `--read-lag-ms=${this.#options.readLagMs}`,
      '--serve-threads=1',
      '--record-cache-mib=8',
    ];
    return [...sourceProgram, 'node', node, ...flags, ...sizes];
  }

  #routerWords(): string[] {
    const ports = [`--router-port=${this.#ports['router']}`, `--http2-port=${this.#ports['http2']}`, '--drain-ms=0'];
    const flags = [
      `--map=${this.mapPath}`,
      `--data-dir=${join(this.folder, 'router')}`,
      `--host=${this.hostOf('router')}`,
    ];
    return [...sourceProgram, 'router', ...flags, ...ports, '--log-level=warn'];
  }

  #logWords(): string[] {
    const lines = [
      `listen: "${this.hostOf('log')}:${this.#ports['log']}"`,
      'max_payload: 8MB',
      'logfile: "/dev/null"',
      `jetstream { store_dir: ${JSON.stringify(join(this.folder, 'log'))} }`,
    ];
    const path = join(this.folder, 'nats.conf');
    writeFileSync(path, `${lines.join('\n')}\n`);
    // It has no channel to see this process end by.
    return ['setpriv', '--pdeathsig', 'KILL', 'nats-server', '-c', path];
  }

  async #untilLogAnswers(): Promise<void> {
    await until(() => isListening(this.hostOf('log'), this.#ports['log']!), settleMsMax);
  }

  #clockEnvironment(node: NodeName): Readonly<Record<string, string>> {
    const library = faketimeLibrary();
    if (library === null) return {};
    this.setClock(node, 0);
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.clockFileOf(node),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Moves the clock of a node so far from this machine's; it notices within a second. Units: s. */
  setClock(node: NodeName, aheadS: number): void {
    writeFileSync(this.clockFileOf(node), `${aheadS < 0 ? '' : '+'}${aheadS}\n`);
  }

  async statusOf(node: NodeName): Promise<readonly SlotStatus[]> {
    const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: callMsMax };
    return nodeStatusMessage.decode(await this.client.call(call)).slots;
  }

  async #statuses(): Promise<readonly SlotStatus[] | null> {
    return await Promise.all(nodeNames.map((node) => this.statusOf(node))).then(
      (statuses) => statuses.flat(),
      () => null,
    );
  }

  async #isComplete(): Promise<boolean> {
    const statuses = await this.#statuses();
    return statuses?.every(({ condition, log }) => condition === 'complete' && log === null) ?? false;
  }

  /** Waits until all copies have applied all of their logs, and all effects are delivered. */
  async settle(): Promise<void> {
    let busy: unknown = 'no answer';
    const isIdle = async (): Promise<boolean> => {
      const statuses = await this.#statuses();
      busy = statuses?.filter(isBusy) ?? 'a node does not answer';
      const incomplete = statuses?.find(({ condition }) => condition === 'incomplete');
      if (incomplete !== undefined) throw new Error(`slot ${incomplete.slot} has lost something, and is incomplete`);
      return Array.isArray(busy) && busy.length === 0;
    };
    for (let idlePolls = 0; idlePolls < 2; ) {
      await until(isIdle, settleMsMax).catch((thrown: Error) => {
        throw new Error(`not settled: ${thrown.message}: ${JSON.stringify(busy)}`);
      });
      idlePolls = (await isIdle()) ? idlePolls + 1 : 0;
    }
  }

  /** Returns the digest of a slot at a node. */
  async digestOf(node: string, slot: number): Promise<string> {
    const payload = digestRequest.encode({ slot });
    const answer = await this.client.call({ node, method: nodeCalls.digest, payload, timeoutMs: callMsMax });
    const { seq, digest } = digestAnswer.decode(answer);
    return `${digest} at ${seq}`;
  }

  /** Returns the nodes that are, or are not, the primary of a shard. */
  nodesThat(arePrimaries: boolean): NodeName[] {
    const primaries = new Set(this.map.primaryBySlot);
    return nodeNames.filter((name) => primaries.has(name) === arePrimaries);
  }

  get #operatorFlags(): string[] {
    const where = [`--router-url=${this.routerUrl}`, `--admin-token-file=${join(this.folder, 'token')}`];
    return [`--data-dir=${this.folder}`, ...where];
  }

  /** Runs a command as an operator does. */
  command(...words: readonly string[]): Promise<Ended> {
    return runCommand([...words, ...this.#operatorFlags]);
  }

  /** Begins such a command. */
  operate(words: readonly string[]): OperatorRun {
    return new OperatorRun([...sourceProgram, ...words, ...this.#operatorFlags]);
  }

  /** Begins a command that asks the nodes itself, from where the router is. */
  operateBeside(words: readonly string[]): OperatorRun {
    const prefix = this.boxes?.prefixOf(this.boxOf('router')) ?? [];
    return new OperatorRun([...prefix, ...sourceProgram, ...words]);
  }

  /** Makes replicas the primaries of all shards of a node. */
  async promoteFrom(node: NodeName): Promise<void> {
    const { code, out, err } = await this.command('promote', `--all-from=${node}`);
    if (code !== 0) throw new Error(`promote ended with ${code}: ${out}${err}`);
    await this.readMap();
  }

  /** Changes a letter of an actor's post in the file of a slot at a node, which is down. */
  damage(node: NodeName, slot: number): void {
    const path = join(slotPath(join(this.dataDirOf(node), `node-${node}`), slot), environmentFiles.data);
    const bytes = readFileSync(path);
    const text = postTextOf(this.actors[slot]!);
    let at = bytes.indexOf(text);
    if (at < 0) throw new Error(`${path} does not have "${text}"`);
    for (; at >= 0; at = bytes.indexOf(text, at + 1)) bytes[at] = 'b'.charCodeAt(0);
    writeFileSync(path, bytes);
  }

  /** Returns which nodes have another copy of a slot than most, by a comparison of all. */
  async nodesThatDiffer(slot: number): Promise<readonly string[]> {
    const { out } = await this.command('replica', 'verify', String(slot), '--json');
    return (JSON.parse(out) as { odd: string[] }).odd;
  }

  /** Reads the map that is in force from the router. */
  async readMap(): Promise<void> {
    const asked = { url: this.routerUrl, path: '/v1/map', token, timeoutMs: callMsMax };
    const { map } = (await adminRequest(asked)) as { map: MapJson };
    this.#mapJson = map;
    this.client.setMap(this.map);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.roles.values()].map((role) => role.kill()));
    await this.client[Symbol.asyncDispose]();
    for (const disk of this.#disks) execFileSync('umount', ['-l', disk]);
    this.boxes?.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function isBusy({ waiting, outbox, isContinuing, behindMs, log, condition }: SlotStatus): boolean {
  return waiting > 0 || outbox > 0 || isContinuing || behindMs > 0 || log !== null || condition !== 'complete';
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('data', () => socket.destroy()).once('data', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
}

const clockProblem = 'clocks that jump need libfaketime: apt-get install libfaketime';

/** Removes what libfaketime leaves of a process that was killed. */
function removeClock(pid: number): void {
  for (const name of ['faketime_shm_', 'sem.faketime_sem_']) rmSync(`/dev/shm/${name}${pid}`, { force: true });
}

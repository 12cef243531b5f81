/**
 * The processes of one `skyshard up`: their flags, and the order in which they start and stop.
 *
 * Start: the demo, then the nodes together, then ingest, which appends to them from its first
 * event, then the router, which asks ingest when it settles. A lone node is its own router. Stop:
 * ingest first, so that nothing comes in; then the router; then the nodes, which flush; the demo
 * last.
 */
import { join, resolve } from 'node:path';
import { isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { seededRandom } from '../../base/seeded-random.ts';
import { keepTokenFile } from '../../config/secret-file.ts';
import { type SettingName, settingTable } from '../../config/setting-table.ts';
import { childEnvironment, flagsFor, type Settings } from '../../config/settings.ts';
import { newestPushedMap } from '../../mapchange/map-store.ts';
import { requireNoneElsewhere } from '../../node/slot-folders.ts';
import { type ShardMap, slotsOfNode } from '../../shardmap/shard-map.ts';
import type { CommandContext } from '../command.ts';
import { version } from '../command-line.ts';
import { type MapFile, readMapOrDefault, withNodes, withRealPorts } from '../map-file.ts';
import { type ChildSpec, type Listening, SupervisedChild, type SupervisorContext } from './child-process.ts';
import { type RunFile, type RunningProcess, removeRunFile, writeRunFile, writeWhole } from './run-file.ts';
import { serveThreadCount } from './serve-thread-count.ts';

const readyMsMax = 60_000;
const stopMsMax = { ingest: 15_000, router: 15_000, node: 60_000, demo: 5_000 } as const;
/** LMDB's flushes block threads of this pool: with Node's four, sixteen slots would queue. */
const threadPoolSize = '16';

/** Ports beside those of the map's nodes. The demo chooses its own, to keep it from run to run. */
const listeners = ['routerPort', 'http2Port', 'ingestPort'] as const satisfies readonly SettingName[];

function urlFor(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host;
  return `http://${reachable}:${port}`;
}

function runningProcess({ pid, listening: { host, ports } }: SupervisedChild): RunningProcess {
  const port = ports['port']!;
  return { pid, host, port, url: urlFor(host, port) };
}

/** Returns where the router in a process listens, which is all of it or the edge of a node. */
function runningRouter({ pid, listening: { ports } }: SupervisedChild, host: string): RunFile['router'] {
  const port = ports['routerPort'] ?? ports['port']!;
  const http2Port = ports['http2Port']!;
  return { pid, host, port, url: urlFor(host, port), http2Port, http2Url: urlFor(host, http2Port) };
}

/** Settings of the children: absolute paths, and the map with real ports. */
function absolutePaths(settings: Settings, mapPath: string): Settings {
  const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));
  return {
    ...settings,
    dataDir: resolve(settings.dataDir),
    map: mapPath,
    adminTokenFile: absolute(settings.adminTokenFile),
    clusterTokenFile: absolute(settings.clusterTokenFile),
    viewTokenFile: absolute(settings.viewTokenFile),
    bsyncKeyFile: absolute(settings.bsyncKeyFile),
    logCredentialsFile: absolute(settings.logCredentialsFile),
    logCaFile: absolute(settings.logCaFile),
  };
}

/** Settings with a cluster token: the operator's, else one of our own in the data folder. */
function withClusterToken(settings: Settings, map: ShardMap): Settings {
  if (settings.clusterTokenFile !== null || map.clusterTokenFile !== null) return settings;
  const clusterTokenFile = join(settings.dataDir, 'cluster-token');
  keepTokenFile(clusterTokenFile);
  return { ...settings, clusterTokenFile };
}

/**
 * Settings that follow the simulated network at `url`, which is its own directory and resolver. A
 * hostile one is followed as a relay: it passes on what is signed by nobody, or by strangers.
 */
function followDemo(settings: Settings, url: string): Settings {
  return {
    ...settings,
    ...(settings.hostile ? { relay: [url] } : { pds: [url] }),
    plcUrl: url,
    handleResolver: url,
    allowPrivateHosts: true,
    cursor: settings.cursor ?? 0,
    // Its first records are old by design, which is no lag.
    verifyLagMs: settingTable.verifyLagMs.max,
  };
}

/** A child that is started again must not begin again by itself. */
function onceOnly(settings: Settings, before: Listening | null): Settings {
  return before === null ? settings : { ...settings, beginAgain: [] };
}

/** Returns the command that runs this program again: the executable, or its source under Node. */
function selfCommand(words: readonly string[]): string[] {
  if (isSea()) return [process.execPath, ...words];
  return [process.execPath, ...process.execArgv, fileURLToPath(new URL('../main.ts', import.meta.url)), ...words];
}

/** Owns the child processes of a cluster on this machine. */
export class Cluster implements AsyncDisposable {
  readonly #context: CommandContext;
  readonly #supervisorContext: SupervisorContext;
  readonly #startedAt: string;
  readonly #mapPath: string;
  #epoch = 0;
  #isComplete = false;
  #isStopping = false;
  #starting: Promise<RunFile> | null = null;
  #demo: SupervisedChild | null = null;
  readonly #nodes = new Map<string, SupervisedChild>();
  #router: SupervisedChild | null = null;
  #ingest: SupervisedChild | null = null;

  constructor(context: CommandContext, onLine: (name: string, line: string) => void) {
    this.#context = context;
    this.#mapPath = join(resolve(context.settings.dataDir), 'shard-map.json');
    this.#startedAt = new Date(context.clock.nowMs()).toISOString();
    this.#supervisorContext = {
      command: selfCommand,
      environment: { UV_THREADPOOL_SIZE: threadPoolSize, ...childEnvironment(context.environment) },
      clock: context.clock,
      random: seededRandom(context.clock.nowMs()),
      log: context.log,
      onLine,
      onRestarted: () => this.#writeRun(),
    };
  }

  #child(name: string, kind: keyof typeof stopMsMax, words: ChildSpec['words']): SupervisedChild {
    // A stop may come in the middle of a start; nothing may start after it.
    if (this.#isStopping) throw new DataPlaneError('Aborted', 'stopped while starting');
    return new SupervisedChild({ name, words, readyMsMax, stopMsMax: stopMsMax[kind] }, this.#supervisorContext);
  }

  /**
   * Starts everything and waits until all of it serves.
   *
   * Errors: DataPlaneError of the first process that does not start; the caller stops the others.
   */
  start(): Promise<RunFile> {
    this.#starting = this.#startAll();
    return this.#starting;
  }

  async #startAll(): Promise<RunFile> {
    const { settings, resolved, log } = this.#context;
    const isMapGiven = resolved.sourceByName.map !== 'default';
    const unpushed = readMapOrDefault(settings.map, isMapGiven);
    const file = this.#pushedOr(settings.nodes === null ? unpushed : withNodes(unpushed, settings.nodes, isMapGiven));
    if (settings.nodes !== null && file.map.nodes.size !== settings.nodes)
      throw new DataPlaneError('ConfigInvalid', `--nodes: the map in force has ${file.map.nodes.size} nodes`, {
        hint: 'Leave out --nodes: a map that was pushed says how many there are.',
      });
    const free = listeners.filter((name) => settings[name] === 0);
    // Chosen here, not by the children: a port that the kernel chose cannot be bound again for a
    // minute after its process was killed.
    const { raw, map, otherPorts } = await withRealPorts(
      file,
      free.map(() => settings.host),
    );
    const ports = Object.fromEntries(free.map((name, index) => [name, otherPorts[index]!]));
    this.#epoch = map.epoch;
    this.#requireSlotsInPlace(map);
    writeWhole(this.#mapPath, `${JSON.stringify(raw, null, 2)}\n`);
    const own = withClusterToken({ ...absolutePaths(settings, this.#mapPath), ...ports }, map);
    const followed = settings.demo ? followDemo(own, await this.#startDemo(own)) : own;
    log('debug', 'starting the nodes', { count: map.nodes.size, epoch: map.epoch });
    const ingestUrl = urlFor(followed.host, followed.ingestPort);
    const isLone = map.nodes.size === 1;
    const served: Settings = {
      ...followed,
      edge: isLone,
      ingestUrl: isLone ? ingestUrl : null,
      serveThreads: serveThreadCount(followed, map.nodes.size),
      // All of it stops together.
      drainMs: 0,
    };
    for (const name of map.nodes.keys()) {
      this.#nodes.set(
        name,
        this.#child(name, 'node', (before) => ['node', name, ...flagsFor('node', onceOnly(served, before))]),
      );
    }
    await Promise.all([...this.#nodes.values()].map((node) => node.start()));
    this.#ingest = this.#child('ingest', 'ingest', (before) => [
      'ingest',
      ...flagsFor('ingest', onceOnly(followed, before)),
    ]);
    await this.#ingest.start();
    if (!isLone) {
      const routed: Settings = { ...followed, ingestUrl, drainMs: 0 };
      this.#router = this.#child('router', 'router', () => ['router', ...flagsFor('router', routed)]);
      await this.#router.start();
    }
    this.#isComplete = true;
    return this.#writeRun();
  }

  /** Returns the map that was pushed last, if there was one, else the file. */
  #pushedOr(file: MapFile): MapFile {
    const pushed = newestPushedMap(this.#context.settings.dataDir, file.raw);
    if (pushed === null) return file;
    if (pushed.map.epoch < file.map.epoch) {
      const { epoch } = pushed.map;
      this.#context.log('warn', `the map of epoch ${epoch} is in force; push the file's to change it`, { epoch });
    }
    return { raw: pushed.json, map: pushed.map };
  }

  /** Before the map in the data folder is replaced: with it, what is there can go on. */
  #requireSlotsInPlace(map: ShardMap): void {
    const dataDir = resolve(this.#context.settings.dataDir);
    const hint = `Go on with the map of that data: skyshard up --data-dir ${dataDir} --map ${this.#mapPath}`;
    for (const name of map.nodes.keys())
      requireNoneElsewhere(join(dataDir, `node-${name}`), slotsOfNode(map, name), hint);
  }

  /** Returns the URL of the simulated network. */
  async #startDemo(own: Settings): Promise<string> {
    this.#demo = this.#child('demo', 'demo', (before) => [
      'demo',
      ...flagsFor('demo', { ...own, demoPort: before?.ports['port'] ?? own.demoPort }),
    ]);
    await this.#demo.start();
    return runningProcess(this.#demo).url;
  }

  #writeRun(): RunFile {
    const [node] = this.#nodes.values();
    const router = this.#router ?? node;
    if (!this.#isComplete || router === undefined || this.#ingest === null) {
      throw new DataPlaneError('Unavailable', 'the cluster has not started');
    }
    const run: RunFile = {
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      map: this.#mapPath,
      epoch: this.#epoch,
      router: runningRouter(router, this.#context.settings.host),
      ingest: runningProcess(this.#ingest),
      nodes: Object.fromEntries([...this.#nodes].map(([name, child]) => [name, runningProcess(child)])),
      demo: this.#demo === null ? null : runningProcess(this.#demo),
    };
    writeRunFile(this.#context.settings.dataDir, run);
    return run;
  }

  /** Stops every process in order, also in the middle of a start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await this.#stopAll();
    const started = await this.#starting?.catch((thrown: unknown) => thrown);
    // Stops what a start under way has launched since then.
    if (started instanceof Error) await this.#stopAll();
    removeRunFile(this.#context.settings.dataDir);
  }

  async #stopAll(): Promise<void> {
    await this.#ingest?.stop();
    await this.#router?.stop();
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()));
    await this.#demo?.stop();
  }

  /** Kills every process; what is not flushed is read from the log again at the next start. */
  kill(): void {
    for (const child of [this.#ingest, this.#router, ...this.#nodes.values(), this.#demo]) child?.kill();
  }
}

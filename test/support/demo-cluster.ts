/** A running cluster over a small demo network, for tests of commands and of endpoints. */
import { adminRequest } from '../../src/cli/admin-request.ts';
import { callService, listOf, numberAt, type ServiceAnswer } from '../../src/cli/service-call.ts';
import {
  clusterFolder,
  type Ended,
  type RunningCluster,
  removeFolder,
  runCommand,
  startCluster,
} from './running-cluster.ts';

const timeoutMs = 30_000;

export class DemoCluster {
  readonly folder: string;
  readonly cluster: RunningCluster;

  private constructor(folder: string, cluster: RunningCluster) {
    this.folder = folder;
    this.cluster = cluster;
  }

  /** Starts it with ten actors and a search index. Waits until all their records are applied. */
  static async start(records: number): Promise<DemoCluster> {
    const folder = clusterFolder();
    const demo = ['--demo', '--demo-actors=10', `--demo-records=${records}`, '--demo-rate=0'];
    const started = new DemoCluster(folder, await startCluster(folder, [...demo, '--search-threads=1']));
    await started.settle();
    return started;
  }

  /** Runs a command of the command line on this cluster. */
  run(...words: string[]): Promise<Ended> {
    return runCommand([...words, `--data-dir=${this.cluster.dataDir}`]);
  }

  /** Asks an operators' endpoint of the router. */
  ask(path: string, body: object): Promise<unknown> {
    return adminRequest({ url: this.cluster.run.router.url, path, body, token: null, timeoutMs });
  }

  /** Calls a method of `bsky.Service`. */
  call(method: string, request: object): Promise<ServiceAnswer> {
    return callService({ url: this.cluster.run.router.url, timeoutMs }, method, request);
  }

  async settle(): Promise<void> {
    await this.ask('/v1/settle', {});
  }

  /** Returns the DIDs of the demo's accounts. */
  async dids(): Promise<string[]> {
    const path = '/xrpc/com.atproto.sync.listRepos';
    const listed = await adminRequest({ url: this.cluster.run.demo!.url, path, token: null, timeoutMs });
    return listOf(listed as Record<string, unknown>, 'repos').map((repo) => String(repo['did']));
  }

  /** Returns an account that has posts. */
  async didWithPosts(): Promise<string> {
    const dids = await this.dids();
    const counts = await this.call('GetCountsForUsers', { dids });
    return dids.find((_did, index) => numberAt(counts, 'posts', index) > 0)!;
  }

  async stop(): Promise<void> {
    await this.cluster.stop();
    removeFolder(this.folder);
  }
}

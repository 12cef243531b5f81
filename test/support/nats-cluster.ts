/** Three clustered NATS servers on loopback, for logs that each of them has. */
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { freePort } from './crash-cluster.ts';
import { NatsServer } from './nats-server.ts';
import { until } from './until.ts';

const serverCount = 3;
const waitMsMax = 60_000;

/** Who has a stream: `null` while nobody leads it. */
type StreamServers = { readonly leader: string | null; readonly areAllCurrent: boolean };

export class NatsCluster implements AsyncDisposable {
  /** By their names, s0 to s2. */
  readonly servers: ReadonlyMap<string, NatsServer>;

  private constructor(servers: ReadonlyMap<string, NatsServer>) {
    this.servers = servers;
  }

  /** Starts all, and waits until they have agreed on who leads. */
  static async start(): Promise<NatsCluster> {
    const ports = await Promise.all(Array.from({ length: serverCount }, () => freePort()));
    const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(', ');
    const started = ports.map(async (port, index): Promise<[string, NatsServer]> => {
      const name = `s${index}`;
      const cluster = `cluster { name: tests, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return [name, await NatsServer.start('8MB', [`server_name: ${name}`, cluster])];
    });
    const cluster = new NatsCluster(new Map(await Promise.all(started)));
    await until(() => cluster.#hasLeader(), waitMsMax);
    return cluster;
  }

  get urls(): string[] {
    return [...this.servers.values()].map(({ url }) => url);
  }

  server(name: string): NatsServer {
    return this.servers.get(name)!;
  }

  async #hasLeader(): Promise<boolean> {
    const connection = await connect({ servers: this.urls, reconnect: false });
    try {
      await (await jetstreamManager(connection)).getAccountInfo();
      return true;
    } catch {
      return false;
    } finally {
      await connection.close();
    }
  }

  /** Asks any server that runs. */
  async serversOf(stream: string): Promise<StreamServers> {
    const connection = await connect({ servers: this.urls, reconnect: false });
    try {
      const { cluster } = await (await jetstreamManager(connection)).streams.info(stream);
      const replicas = cluster?.replicas ?? [];
      const areAllCurrent = replicas.length === serverCount - 1 && replicas.every(({ current }) => current);
      return { leader: cluster?.leader ?? null, areAllCurrent };
    } catch {
      return { leader: null, areAllCurrent: false };
    } finally {
      await connection.close();
    }
  }

  /** Returns the leader of a stream, once all servers have all of it. */
  async leaderOf(stream: string): Promise<string> {
    await until(async () => (await this.serversOf(stream)).areAllCurrent, waitMsMax);
    const { leader } = await this.serversOf(stream);
    if (leader === null) throw new Error(`nobody leads ${stream}`);
    return leader;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.servers.values()].map((server) => server[Symbol.asyncDispose]()));
  }
}

/**
 * The official data plane on PostgreSQL, in this process.
 *
 * It serves HTTP/1.1 only; the AppView defaults to HTTP/2, so a second listener serves the same
 * routes over that.
 */
import http2 from 'node:http2';
import {
  BsyncSubscription,
  Database,
  type DataPlaneClient,
  DataPlaneServer,
  RepoSubscription,
  type ServerConfig,
} from '@atproto/bsky';
import { mockResolvers, type TestPds } from '@atproto/dev-env';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { officialMends } from '../oracle/apply-differences.ts';
import { bsyncApiKey } from './bsync-writer.ts';
import { handlerClient, officialRoutes } from './direct-client.ts';
import { freePort } from './free-port.ts';
import type { BsyncHeads, HttpVersion, Plane } from './plane.ts';
import { waitUntil } from './wait-until.ts';

const settleDeadlineMs = 60_000;
const poolSize = 10;

export interface OfficialPlaneOptions {
  readonly pds: TestPds;
  readonly plcUrl: string;
  readonly bsyncUrl: string;
  readonly postgresUrl: string;
  /** Schema of this plane's tables. */
  readonly schema: string;
}

interface Subscriptions {
  readonly repos: RepoSubscription;
  readonly bsync: BsyncSubscription;
}

/** Reads the PDS from its first event and answers `bsky.Service`. */
export class OfficialPlane implements Plane {
  readonly name = 'official';
  readonly readsBsync = true;
  readonly db: Database;
  readonly #ports: Readonly<Record<HttpVersion, number>>;
  readonly #server: DataPlaneServer;
  readonly #http2: http2.Http2Server;
  readonly #subscription: RepoSubscription;
  readonly #bsync: BsyncSubscription;

  private constructor(
    db: Database,
    ports: Readonly<Record<HttpVersion, number>>,
    server: DataPlaneServer,
    http2Server: http2.Http2Server,
    subscriptions: Subscriptions,
  ) {
    this.db = db;
    this.#ports = ports;
    this.#server = server;
    this.#http2 = http2Server;
    this.#subscription = subscriptions.repos;
    this.#bsync = subscriptions.bsync;
  }

  /** Creates the tables, starts both listeners and follows the firehose. */
  static async start(options: OfficialPlaneOptions): Promise<OfficialPlane> {
    const settings = { url: options.postgresUrl, schema: options.schema };
    const migrations = new Database(settings);
    await migrations.migrateToLatestOrThrow();
    await migrations.close();
    const db = new Database({ ...settings, poolSize });
    const ports = { '1.1': await freePort(), '2': await freePort() };
    const server = await DataPlaneServer.create(db, ports['1.1'], options.plcUrl, globalThis.fetch);
    mockResolvers(server.idResolver, options.pds);
    const http2Server = await listenHttp2(db, server, ports['2']);
    const service = `ws://127.0.0.1:${options.pds.port}`;
    const subscription = new RepoSubscription({ service, db, idResolver: server.idResolver });
    mendEmptyNotices(subscription);
    void subscription.start();
    // It needs no more of the AppView's configuration.
    const config = { bsyncUrl: options.bsyncUrl, bsyncApiKey, bsyncHttpVersion: '1.1' } as ServerConfig;
    const bsync = new BsyncSubscription({ config, db });
    bsync.start();
    return new OfficialPlane(db, ports, server, http2Server, { repos: subscription, bsync });
  }

  url(httpVersion: HttpVersion): string {
    return `http://127.0.0.1:${this.#ports[httpVersion]}`;
  }

  directClient(): DataPlaneClient {
    return handlerClient(officialRoutes(this.db, this.#server));
  }

  async settle(lastSeq: number, heads: BsyncHeads): Promise<void> {
    await waitUntil(`the official plane to reach seq ${lastSeq}`, settleDeadlineMs, async () => {
      await this.#subscription.processAll();
      return (this.#subscription.getCursor() ?? -1) >= lastSeq;
    });
    // The last event may have queued counts in the background after the cursor was checked.
    await this.#subscription.processAll();
    await this.#bsync.processAll(heads, settleDeadlineMs);
  }

  /** Applies `officialMends()`, and looks up actors again whose look-up failed. */
  async mendRaces(dids: readonly string[], goneDids: readonly string[] = []): Promise<void> {
    for (const did of goneDids) await this.#subscription.indexingSvc.deleteActor(did as `did:plc:${string}`);
    const known = await this.db.db.selectFrom('actor').select('did').execute();
    const knownDids = new Set(known.map(({ did }) => did));
    for (const did of dids.filter((each) => !knownDids.has(each) && !goneDids.includes(each))) {
      await this.#subscription.indexingSvc.indexHandle(did as `did:plc:${string}`, new Date().toISOString(), true);
    }
    for (const statement of officialMends()) await statement.execute(this.db.db);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#http2.close(() => resolve()));
    await this.#bsync.destroy();
    await this.#subscription.destroy();
    await this.#server.destroy();
    await this.db.close();
  }
}

interface NoticeOp {
  readonly inserted?: unknown;
  readonly deleted?: unknown;
}

/** What indexes the records of one collection, as far as it is mended. */
interface Indexer {
  readonly options: {
    readonly notifsForInsert: (inserted: unknown) => unknown[];
    readonly notifsForDelete: (deleted: unknown, replacedBy: unknown) => { readonly notifs: unknown[] };
  };
  filterNotifsForThreadMutes(notices: unknown[]): Promise<unknown[]>;
  handleNotifs(op: NoticeOp): Promise<void>;
}

/** Keeps records whose every notice a muted thread holds back; see `intendedDifferences`. */
function mendEmptyNotices({ indexingSvc }: RepoSubscription): void {
  const prototype = Object.getPrototypeOf(indexingSvc.records.like) as Indexer;
  const { handleNotifs } = prototype;
  prototype.handleNotifs = async function mended(this: Indexer, op): Promise<void> {
    const { options } = this;
    const { notifsForInsert, notifsForDelete } = options;
    const notices =
      op.deleted === undefined
        ? op.inserted === undefined
          ? []
          : notifsForInsert(op.inserted)
        : notifsForDelete(op.deleted, op.inserted ?? null).notifs;
    const isEmptied = notices.length > 0 && (await this.filterNotifsForThreadMutes(notices)).length === 0;
    if (!isEmptied) return await handleNotifs.call(this, op);
    const quiet = Object.create(this) as { options: Indexer['options'] } & Indexer;
    quiet.options = {
      ...options,
      notifsForInsert: () => [],
      notifsForDelete: (deleted, replacedBy) => ({ ...notifsForDelete(deleted, replacedBy), notifs: [] }),
    };
    await handleNotifs.call(quiet, op);
  };
}

async function listenHttp2(db: Database, server: DataPlaneServer, port: number): Promise<http2.Http2Server> {
  const sessions = new Set<http2.ServerHttp2Session>();
  const http2Server = http2.createServer({}, connectNodeAdapter({ routes: officialRoutes(db, server) }));
  http2Server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  const close = http2Server.close.bind(http2Server);
  http2Server.close = (callback) => {
    for (const session of sessions) session.close();
    return close(callback);
  };
  await new Promise<void>((resolve) => http2Server.listen(port, '127.0.0.1', resolve));
  return http2Server;
}

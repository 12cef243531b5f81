/**
 * The official AT network without a data plane: PLC, one PDS and bsync, in this process.
 *
 * Planes join later. `processAll` waits until every joined plane has applied all that the PDS has
 * emitted; the official seeds call it where the order of two repos matters.
 */

import { Secp256k1Keypair } from '@atproto/crypto';
import { TestBsync, TestNetworkNoAppView, TestPds, TestPlc } from '@atproto/dev-env';
import { createServiceJwt } from '@atproto/xrpc-server';
import { Client as PlcClient } from '@did-plc/lib';
import { bsyncApiKey } from './bsync-writer.ts';
import { freePort } from './free-port.ts';
import { type BsyncHeads, type Plane, planeClient } from './plane.ts';
import type { SeedAppView } from './seed-tables.ts';

const accountsMax = 1000;
const idlePollMs = 200;

/** An AppView's address and identity, fixed before it starts. */
export interface AppViewIdentity {
  readonly did: string;
  readonly port: number;
  readonly url: string;
  readonly signingKey: Secp256k1Keypair;
}

export interface AtNetworkOptions {
  readonly postgresUrl: string;
  /** Schema of bsync's tables. */
  readonly bsyncSchema: string;
  /** Number of AppViews that the PDS knows; the first one is its own. */
  readonly appViewCount: number;
}

/** PLC, PDS, bsync and the planes that read from them. */
export class AtNetwork extends TestNetworkNoAppView {
  readonly bsync: TestBsync;
  readonly appViews: readonly AppViewIdentity[];
  /** What official seeds take for the AppView; only the oracle sets it. */
  bsky: SeedAppView | undefined;
  readonly #planes: Plane[] = [];

  constructor(plc: TestPlc, pds: TestPds, bsync: TestBsync, appViews: readonly AppViewIdentity[]) {
    super(plc, pds);
    this.bsync = bsync;
    this.appViews = appViews;
  }

  /** Starts PLC, bsync and the PDS, and registers the AppViews at the PLC. */
  static async start(options: AtNetworkOptions): Promise<AtNetwork> {
    const plc = await TestPlc.create({});
    const appViews: AppViewIdentity[] = [];
    for (let index = 0; index < options.appViewCount; index += 1) appViews.push(await registerAppView(plc.url));
    const bsync = await TestBsync.create({
      apiKeys: [bsyncApiKey],
      dbUrl: options.postgresUrl,
      dbSchema: options.bsyncSchema,
    });
    const [first] = appViews;
    const pds = await TestPds.create({
      port: await freePort(),
      didPlcUrl: plc.url,
      inviteRequired: false,
      ...(first === undefined ? {} : { bskyAppViewUrl: first.url, bskyAppViewDid: first.did }),
    });
    emitAtOnce(pds);
    return new AtNetwork(plc, pds, bsync, appViews);
  }

  /** Returns what an official plane reads from. */
  surroundings(): { readonly pds: TestPds; readonly plcUrl: string; readonly bsyncUrl: string } {
    return { pds: this.pds, plcUrl: this.plc.url, bsyncUrl: this.bsync.url };
  }

  /** Adds a plane to `processAll` and to bsync's notification-seen. */
  join(plane: Plane): void {
    this.#planes.push(plane);
    // bsync has its own build of the same generated client, so the types differ in name only.
    const clients = this.bsync.ctx.dataplaneClients as unknown[];
    clients.push(planeClient(plane));
  }

  /** Removes a plane that will not be waited for any more. */
  leave(plane: Plane): void {
    this.#planes.splice(this.#planes.indexOf(plane), 1);
  }

  /** Waits until every joined plane has applied all that the PDS has emitted so far. */
  override async processAll(): Promise<void> {
    await this.#settle(this.#planes);
  }

  /** Waits only for official planes. */
  async processOfficial(): Promise<void> {
    await this.#settle(this.#planes.filter(({ name }) => name === 'official'));
  }

  async #settle(planes: readonly Plane[]): Promise<void> {
    await this.pds.processAll();
    const lastSeq = await this.pds.ctx.sequencer.curr();
    if (lastSeq === undefined || lastSeq === null) return;
    const lastOperations = Object.entries(await this.bsync.getStreamHeads()).filter(([, id]) => id !== undefined);
    const heads = Object.fromEntries(lastOperations) as BsyncHeads;
    await Promise.all(planes.map((plane) => plane.settle(lastSeq, heads)));
  }

  /** Returns the DIDs of all accounts of the PDS. */
  async accountDids(): Promise<readonly string[]> {
    const { data } = await this.pds.getAgent().com.atproto.sync.listRepos({ limit: accountsMax });
    if (data.cursor !== undefined && data.repos.length >= accountsMax)
      throw new Error('too many accounts for one page');
    return data.repos.map(({ did }) => did);
  }

  /** Gives an account a handle that its host denies, so that no plane shows any. */
  async dropHandle(did: string): Promise<void> {
    const { plcClient, plcRotationKey, sequencer } = this.pds.ctx;
    const handle = `dropped-${did.slice('did:plc:'.length)}.test` as const;
    await plcClient.updateHandle(did, plcRotationKey, handle);
    await sequencer.sequenceIdentity(did as `did:plc:${string}`, handle);
  }

  /** Makes the header by which a user of the PDS authenticates to an AppView directly. */
  async serviceHeaders(did: string, lxm: string, audience: string): Promise<{ readonly authorization: string }> {
    const keypair = await this.pds.ctx.actorStore.keypair(did);
    const jwt = await createServiceJwt({ iss: did, aud: audience, lxm, keypair });
    return { authorization: `Bearer ${jwt}` };
  }

  override async close(): Promise<void> {
    await this.bsync.close();
    await super.close();
  }
}

/** What waits for new events, as far as it is changed. */
interface Sequencer {
  readonly crawlers: { notifyOfUpdate(): unknown };
  exponentialBackoff(): Promise<void>;
}

/** Lets a PDS emit events when it writes them; by itself it polls, up to a second later. */
function emitAtOnce({ ctx }: TestPds): void {
  const sequencer = ctx.sequencer as unknown as Sequencer;
  const { crawlers } = sequencer;
  const notify = crawlers.notifyOfUpdate.bind(crawlers);
  let isNew = false;
  let wake = (): void => undefined;
  crawlers.notifyOfUpdate = () => {
    isNew = true;
    wake();
    return notify();
  };
  sequencer.exponentialBackoff = async () => {
    if (!isNew) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, idlePollMs);
      });
    }
    isNew = false;
  };
}

async function registerAppView(plcUrl: string): Promise<AppViewIdentity> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const signingKey = await Secp256k1Keypair.create();
  const client = new PlcClient(plcUrl);
  const did = await client.createDid({
    signingKey: signingKey.did(),
    rotationKeys: [signingKey.did()],
    handle: 'bsky.test',
    pds: url,
    signer: signingKey,
  });
  await client.updateData(did, signingKey, (data) => {
    data.services['bsky_notif'] = { type: 'BskyNotificationService', endpoint: url };
    data.services['bsky_appview'] = { type: 'BskyAppView', endpoint: url };
    return data;
  });
  return { did, port, url, signingKey };
}

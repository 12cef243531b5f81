/**
 * The strangers of a hostile demo network: their repos, documents and hosts.
 *
 * Owns: how their hosts answer, which is by what a host is: some are sound, the others send garbage
 * or no end, cut the connection, or keep silent. Nothing of it is stored: after a restart a
 * stranger's repo begins again, which is one more thing that strangers do.
 */

import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { cidOfBlock } from '../../atproto/cid.ts';
import { DemoRepo, demoKeypair, headCidText } from './demo-repo.ts';

const hostileAccountCount = 40;
/** How hosts answer for a repo and a document, by the account's number. */
const hostKinds = ['sound', 'sound', 'sound', 'garbage', 'cut', 'endless', 'silent', 'dead'] as const;
export type HostKind = (typeof hostKinds)[number];

/** An endless answer ends itself here, should its reader not do so. Units: bytes. */
const endlessBytesMax = 192 * 2 ** 20;
const pieceBytes = 65_536;
/** The discard port, where nothing listens. */
const deadUrl = 'http://127.0.0.1:9';
/** Keys of strangers come from another seed than those of actors. */
const keySeedOffset = 0x5eed;

export type HostileAccount = { readonly did: string; readonly kind: HostKind; readonly repo: DemoRepo };

function accountOf(seed: number, index: number): HostileAccount {
  const did = `did:plc:${cidOfBlock(Buffer.from(`skyshard hostile actor ${seed} ${index}`)).text.slice(16, 40)}`;
  const repo = new DemoRepo(did, () => demoKeypair(seed + keySeedOffset, index));
  return { did, kind: hostKinds[index % hostKinds.length]!, repo };
}

/** Sends zeros until the reader has had enough. */
function sendWithoutEnd(response: ServerResponse): void {
  const piece = Buffer.alloc(pieceBytes);
  let sent = 0;
  const more = (): void => {
    while (!response.destroyed) {
      if (sent > endlessBytesMax) response.destroy();
      sent += piece.length;
      if (!response.write(piece)) return;
    }
  };
  response.on('drain', more);
  response.writeHead(200);
  more();
}

/** Answers as a host of this kind does instead of `body`. */
function answerAs(kind: HostKind, response: ServerResponse, body: Buffer): void {
  switch (kind) {
    case 'garbage':
      response.writeHead(200).end(Buffer.from(body.map((byte, index) => (index % 97 === 50 ? byte ^ 0x55 : byte))));
      return;
    case 'cut':
      response.writeHead(200, { 'content-length': body.length + 1 });
      response.write(body, () => response.destroy());
      return;
    case 'endless':
      sendWithoutEnd(response);
      return;
    case 'silent':
      return;
    default:
      response.writeHead(200).end(body);
  }
}

async function listenAnywhere(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export class HostileAccounts implements AsyncDisposable {
  readonly all: readonly HostileAccount[];
  readonly #byDid: ReadonlyMap<string, HostileAccount>;
  readonly #goodHandle: () => string;
  /** Accepts connections and never says a word. */
  readonly #silent = createServer((socket) => {
    socket.on('error', () => socket.destroy());
  });
  /** The host of all strangers. */
  readonly #pds = createHttpServer((request, response) => {
    void this.#answerRequest(request, response).catch(() => response.destroy());
  });
  #silentPort = 0;
  #pdsUrl = '';

  /** `goodHandle` draws a handle that a stranger's document claims. */
  constructor(seed: number, goodHandle: () => string) {
    this.all = Array.from({ length: hostileAccountCount }, (_unused, index) => accountOf(seed, index));
    this.#byDid = new Map(this.all.map((account) => [account.did, account]));
    this.#goodHandle = goodHandle;
  }

  async listen(): Promise<void> {
    this.#silentPort = await listenAnywhere(this.#silent);
    this.#pdsUrl = `http://127.0.0.1:${await listenAnywhere(this.#pds)}`;
  }

  /** The port of a host that keeps silent. */
  get silentPort(): number {
    return this.#silentPort;
  }

  /** Answers a request to the directory about a stranger. Returns: false when it is about none. */
  answerDirectory(request: IncomingMessage, response: ServerResponse): boolean {
    const did = (request.url ?? '').slice(1).replaceAll(/%3A/gi, ':');
    const account = this.#byDid.get(did);
    if (account === undefined) return false;
    void this.#document(account).then((document) => {
      // A directory always answers; what it says is the account's own affair.
      answerAs(account.kind === 'garbage' ? 'garbage' : 'sound', response, Buffer.from(JSON.stringify(document)));
    });
    return true;
  }

  async #answerRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = new URL(request.url ?? '/', 'http://demo.invalid');
    const account = this.#byDid.get(target.searchParams.get('did') ?? '');
    const head = account?.repo.head ?? null;
    if (account === undefined || head === null) {
      response.writeHead(400).end(JSON.stringify({ error: 'RepoNotFound', message: 'no such repo' }));
      return;
    }
    const isRepo = target.pathname === '/xrpc/com.atproto.sync.getRepo';
    const status = { cid: headCidText(head), rev: head.rev };
    const body = isRepo ? await account.repo.export() : Buffer.from(JSON.stringify(status));
    answerAs(account.kind, response, body ?? Buffer.alloc(0));
  }

  async #document({ did, kind, repo }: HostileAccount): Promise<object> {
    const key = await repo.signingKey();
    const serviceEndpoint = kind === 'dead' ? deadUrl : this.#pdsUrl;
    return {
      id: did,
      // Claims the name of a good account, which resolves to that one.
      alsoKnownAs: [`at://${this.#goodHandle()}`],
      verificationMethod: [
        { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: key.slice('did:key:'.length) },
      ],
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#silent.close();
    this.#pds.closeAllConnections();
    this.#pds.close();
  }
}

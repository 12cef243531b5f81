/** HTTP answers of the demo network: a PDS's sync and identity methods, and a PLC directory. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { operatingFailure } from '../../base/data-plane-error.ts';
import { headCidText } from './demo-repo.ts';
import type { DemoWorld } from './demo-world.ts';
import type { HostileAccounts } from './hostile-accounts.ts';

/** JSON unless `body` is bytes or text. */
type Answer = { readonly status: number; readonly body: object | Buffer | string };

const listReposLimitMax = 1000;

function failed(status: number, error: string, message: string): Answer {
  return { status, body: { error, message } };
}

/** Returns the actor that the `did` parameter names, or the error answer. */
function actorOf(world: DemoWorld, params: URLSearchParams, needsActive: boolean): number | Answer {
  const did = params.get('did');
  if (did === null) return failed(400, 'InvalidRequest', 'the parameter "did" is missing');
  const actor = world.actorOfDid(did);
  if (actor === undefined) return failed(400, 'RepoNotFound', `no repo of ${did} is here`);
  if (needsActive && !world.isActive(actor)) return failed(400, 'RepoDeactivated', `the account ${did} is deactivated`);
  return actor;
}

type Method = (world: DemoWorld, params: URLSearchParams) => Answer | Promise<Answer>;

function listRepos(world: DemoWorld, params: URLSearchParams): Answer {
  const limit = Number(params.get('limit') ?? 500);
  const start = Number(params.get('cursor') ?? 0);
  if (!Number.isInteger(limit) || limit < 1 || limit > listReposLimitMax) {
    return failed(400, 'InvalidRequest', `"limit" must lie between 1 and ${listReposLimitMax}`);
  }
  if (!Number.isInteger(start) || start < 0) return failed(400, 'InvalidRequest', '"cursor" is not one of ours');
  const end = Math.min(world.actors.count, start + limit);
  const repos: object[] = [];
  for (let actor = start; actor < end; actor++) {
    const { did, head } = world.repo(actor);
    if (head === null) continue;
    const status = world.isActive(actor) ? { active: true } : { active: false, status: 'deactivated' };
    repos.push({ did, head: headCidText(head), rev: head.rev, ...status });
  }
  return { status: 200, body: end < world.actors.count ? { cursor: String(end), repos } : { repos } };
}

async function getRepo(world: DemoWorld, params: URLSearchParams): Promise<Answer> {
  const actor = actorOf(world, params, true);
  if (typeof actor !== 'number') return actor;
  const car = await world.repo(actor).export();
  return car === null ? failed(400, 'RepoNotFound', 'the repo has no commit yet') : { status: 200, body: car };
}

function getLatestCommit(world: DemoWorld, params: URLSearchParams): Answer {
  const actor = actorOf(world, params, true);
  if (typeof actor !== 'number') return actor;
  const { head } = world.repo(actor);
  if (head === null) return failed(400, 'RepoNotFound', 'the repo has no commit yet');
  return { status: 200, body: { cid: headCidText(head), rev: head.rev } };
}

function getRepoStatus(world: DemoWorld, params: URLSearchParams): Answer {
  const actor = actorOf(world, params, false);
  if (typeof actor !== 'number') return actor;
  const { did, head } = world.repo(actor);
  if (!world.isActive(actor)) return { status: 200, body: { did, active: false, status: 'deactivated' } };
  return { status: 200, body: head === null ? { did, active: true } : { did, active: true, rev: head.rev } };
}

/** Returns the actor with this handle now; a former handle resolves to nobody. */
function actorOfCurrentHandle(world: DemoWorld, handle: string): number | undefined {
  const actor = world.actorOfHandle(handle.toLowerCase());
  return actor !== undefined && world.actors.handle(actor) === handle.toLowerCase() ? actor : undefined;
}

function resolveHandle(world: DemoWorld, params: URLSearchParams): Answer {
  const actor = actorOfCurrentHandle(world, params.get('handle') ?? '');
  if (actor === undefined) return failed(400, 'InvalidRequest', 'Unable to resolve handle');
  return { status: 200, body: { did: world.actors.did(actor) } };
}

const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['com.atproto.sync.listRepos', listRepos],
  ['com.atproto.sync.getRepo', getRepo],
  // The whole repo proves each of its records.
  ['com.atproto.sync.getRecord', getRepo],
  ['com.atproto.sync.getLatestCommit', getLatestCommit],
  ['com.atproto.sync.getRepoStatus', getRepoStatus],
  ['com.atproto.identity.resolveHandle', resolveHandle],
  [
    'com.atproto.server.describeServer',
    () => ({ status: 200, body: { did: 'did:web:localhost', availableUserDomains: [] } }),
  ],
  ['_health', () => ({ status: 200, body: { version: 'skyshard-demo' } })],
]);

/** Returns the DID document, which names this server as the PDS. */
async function didDocument(world: DemoWorld, did: string, url: string): Promise<Answer> {
  const actor = world.actorOfDid(did);
  if (actor === undefined) return { status: 404, body: { message: `DID not registered: ${did}` } };
  const key = await world.repo(actor).signingKey();
  return {
    status: 200,
    body: {
      '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
      id: did,
      alsoKnownAs: [`at://${world.actors.handle(actor)}`],
      verificationMethod: [
        {
          id: `${did}#atproto`,
          type: 'Multikey',
          controller: did,
          publicKeyMultibase: key.slice('did:key:'.length),
        },
      ],
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: url }],
    },
  };
}

/** Returns the DID that `/.well-known/atproto-did` gives for the handle in the Host header. */
function wellKnownDid(world: DemoWorld, host: string): Answer {
  const actor = actorOfCurrentHandle(world, host.replace(/:\d+$/, ''));
  return actor === undefined ? { status: 404, body: 'no such handle' } : { status: 200, body: world.actors.did(actor) };
}

async function answerOf(world: DemoWorld, request: IncomingMessage, url: string): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return failed(405, 'InvalidRequest', 'only GET is answered');
  const target = new URL(request.url ?? '/', 'http://demo.invalid');
  if (target.pathname.startsWith('/xrpc/')) {
    const method = methods.get(target.pathname.slice('/xrpc/'.length));
    return method === undefined
      ? failed(501, 'MethodNotImplemented', 'the demo network does not have this method')
      : method(world, target.searchParams);
  }
  if (target.pathname === '/examples') return { status: 200, body: world.examples() };
  if (target.pathname === '/.well-known/atproto-did') return wellKnownDid(world, request.headers.host ?? '');
  const path = target.pathname.slice(1).replaceAll(/%3A/gi, ':');
  if (path.startsWith('did:')) return didDocument(world, path, url);
  return failed(404, 'NotFound', 'this is the demo network of skyshard: a PDS and a PLC directory');
}

/** Answers one request. `url` is the address of this server. */
export async function answerRequest(
  world: DemoWorld,
  hostile: HostileAccounts | null,
  request: IncomingMessage,
  response: ServerResponse,
  url: string,
): Promise<void> {
  if (hostile?.answerDirectory(request, response) === true) return;
  const { status, body } = await answerOf(world, request, url).catch((thrown: unknown) =>
    failed(500, 'InternalServerError', operatingFailure(thrown).message),
  );
  if (typeof body === 'string') response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
  else if (Buffer.isBuffer(body)) {
    response.writeHead(status, { 'content-type': 'application/vnd.ipld.car', 'content-length': body.length }).end(body);
  } else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** `skyshard get`: what is stored about a record or an account, as the API tier gets it. */
import { AtUri, ensureValidAtUri, ensureValidDid } from '@atproto/syntax';
import { collectionRow } from '../../atproto/collection.ts';
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import { errorBodyOf } from '../../http/error-body.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { urlOf } from '../process/run-file.ts';
import { callService, listOf, type ServiceAddress, type ServiceAnswer } from '../service-call.ts';
import { textTable } from '../text-table.ts';

type Found = { readonly [topic: string]: unknown };

/** Returns the JSON inside a `Record`, or null for a record that does not exist. */
function recordValue(record: ServiceAnswer | undefined): unknown {
  const base64 = record?.['record'];
  if (typeof base64 !== 'string' || base64 === '') return null;
  return JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
}

/** Returns the error of a request that fails, so that it does not hide the other answers. */
async function orError(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (thrown) {
    return errorBodyOf(operatingFailure(thrown));
  }
}

/** Returns the first item's counts: an answer holds, by name, a list with one number per item. */
function firstCounts(answer: ServiceAnswer): Found {
  return Object.fromEntries(
    Object.entries(answer)
      .filter(([, value]) => Array.isArray(value))
      .map(([name, value]) => [name, (value as unknown[])[0]]),
  );
}

function notStored(name: string): DataPlaneError {
  return new DataPlaneError('NotFound', `${name} is not stored`, { hint: `\`skyshard why ${name}\` says why.` });
}

async function findRecord(router: ServiceAddress, uri: string): Promise<Found> {
  const { collection } = new AtUri(uri);
  const method = collectionRow(collection)?.recordsMethod;
  if (method === undefined || method === null)
    throw new DataPlaneError('InvalidArgument', `${collection} is not a collection that is kept`);
  const answer = await callService(router, method, { uris: [uri] });
  const row = listOf(answer, 'records')[0];
  const value = recordValue(row);
  if (value === null) throw notStored(uri);
  const { record: _bytes, ...about } = row ?? {};
  const meta = listOf(answer, 'meta')[0];
  const counts = await orError(callService(router, 'GetInteractionCounts', { refs: [{ uri }] }).then(firstCounts));
  return { uri, ...about, ...(meta === undefined ? {} : { meta }), counts, value };
}

async function findAccount(router: ServiceAddress, did: string): Promise<Found> {
  const actor = listOf(await callService(router, 'GetActors', { dids: [did] }), 'actors')[0];
  if (actor?.['exists'] !== true) throw notStored(did);
  const { profile, statusRecord: _status, germRecord: _germ, ...about } = actor;
  return {
    did,
    ...about,
    rev: await orError(callService(router, 'GetLatestRev', { actorDid: did }).then((answer) => answer['rev'] ?? '')),
    counts: await orError(callService(router, 'GetCountsForUsers', { dids: [did] }).then(firstCounts)),
    profile: recordValue(profile as ServiceAnswer | undefined),
  };
}

function checkOperand(operand: string): 'record' | 'account' {
  const kind = operand.startsWith('at://') ? 'record' : 'account';
  try {
    if (kind === 'record') ensureValidAtUri(operand);
    else ensureValidDid(operand);
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', `"${operand}" is no AT-URI and no DID: ${(cause as Error).message}`, {
      cause,
    });
  }
  return kind;
}

export const runGet: Command = async ({ settings, operands, print }) => {
  const operand = operands[0]!;
  const kind = checkOperand(operand);
  const router = { url: urlOf('router', settings.routerUrl, settings.dataDir), timeoutMs: settings.timeoutMs };
  const found = kind === 'record' ? await findRecord(router, operand) : await findAccount(router, operand);
  if (settings.json) {
    print(`${JSON.stringify(found, null, 2)}\n`);
    return exitCode.done;
  }
  const rows = Object.entries(found).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  print(textTable(['field', 'value'], rows));
  return exitCode.done;
};

/**
 * Reads lines of the PLC directory's export: one signed operation each, as the directory took them.
 *
 * Owns: which lines are well formed, and the document that an operation describes. Signatures are
 * not checked: the operator trusts the file as the directory it was fetched from.
 */
import * as v from 'valibot';
import type { Decoded } from '../atproto/decoded.ts';
import { isPlcText, plcDidLength } from '../atproto/did-plc.ts';
import { openObjectShape, recordShape } from '../config/json-shape.ts';
import { type DidDocument, readDidDocument } from './did-document.ts';

/** What a DID is since `createdMs`; without a document it is gone. */
export type PlcOperation = { readonly did: string; readonly createdMs: number; readonly document: DidDocument | null };

/** Why a line says nothing. `nullified`: the directory took the operation back. */
export type PlcLineReason = 'not-json' | 'malformed' | 'did-bad' | 'operation-unknown' | 'nullified';

/** A line of the directory is far shorter. */
export const plcLineBytesMax = 65_536;

const keyShape = v.pipe(v.string(), v.startsWith('did:key:z'));
const serviceShape = openObjectShape({ type: v.string(), endpoint: v.string() });
const currentShape = openObjectShape({
  type: v.literal('plc_operation'),
  verificationMethods: recordShape(v.string(), keyShape),
  alsoKnownAs: v.array(v.string()),
  services: recordShape(v.string(), serviceShape),
});
const genesisShape = openObjectShape({
  type: v.literal('create'),
  signingKey: keyShape,
  handle: v.string(),
  service: v.string(),
});
const lineShape = openObjectShape({
  did: v.string(),
  operation: openObjectShape({ type: v.string() }),
  nullified: v.optional(v.boolean(), false),
  createdAt: v.string(),
});
const tombstone = 'plc_tombstone';
const knownTypes: ReadonlySet<string> = new Set(['plc_operation', 'create', tombstone]);

type Claims = Omit<v.InferOutput<typeof currentShape>, 'type'>;

/** The form that the directory itself gives the operations of its first years. */
function claimsOfGenesis({ signingKey, handle, service }: v.InferOutput<typeof genesisShape>): Claims {
  const endpoint = /^https?:\/\//.test(service) ? service : `https://${service}`;
  return {
    verificationMethods: { atproto: signingKey },
    alsoKnownAs: [handle.startsWith('at://') ? handle : `at://${handle}`],
    services: { atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint } },
  };
}

function claimsOf(operation: unknown): Claims | undefined {
  const current = v.safeParse(currentShape, operation);
  if (current.success) return current.output;
  const genesis = v.safeParse(genesisShape, operation);
  return genesis.success ? claimsOfGenesis(genesis.output) : undefined;
}

function documentOf(did: string, { verificationMethods, alsoKnownAs, services }: Claims): DidDocument | undefined {
  const read = readDidDocument(did, {
    id: did,
    alsoKnownAs,
    verificationMethod: Object.entries(verificationMethods).map(([name, key]) => ({
      id: `${did}#${name}`,
      type: 'Multikey',
      controller: did,
      publicKeyMultibase: key.slice('did:key:'.length),
    })),
    service: Object.entries(services).map(([name, { type, endpoint }]) => ({
      id: `#${name}`,
      type,
      serviceEndpoint: endpoint,
    })),
  });
  return read.ok ? read.value : undefined;
}

/** Reads one line. */
export function parsePlcLine(line: string): Decoded<PlcOperation, PlcLineReason> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, reason: 'not-json' };
  }
  const checked = v.safeParse(lineShape, value, { abortEarly: true });
  if (!checked.success) return { ok: false, reason: 'malformed' };
  const { did, nullified, createdAt, operation } = checked.output;
  const createdMs = Date.parse(createdAt);
  if (!Number.isFinite(createdMs)) return { ok: false, reason: 'malformed' };
  if (did.length !== plcDidLength || !isPlcText(did, 0)) return { ok: false, reason: 'did-bad' };
  if (nullified) return { ok: false, reason: 'nullified' };
  if (!knownTypes.has(operation.type)) return { ok: false, reason: 'operation-unknown' };
  if (operation.type === tombstone) return { ok: true, value: { did, createdMs, document: null } };
  const claims = claimsOf((value as { readonly operation: unknown }).operation);
  const document = claims === undefined ? undefined : documentOf(did, claims);
  if (document === undefined) return { ok: false, reason: 'malformed' };
  return { ok: true, value: { did, createdMs, document } };
}

/**
 * Reads the facts that a data plane needs from a DID document.
 *
 * Owns: which documents are well formed, and the JSON of keys and services in identity answers.
 */
import { formatMultikey, multibaseToBytes } from '@atproto/crypto';
import * as v from 'valibot';
import type { Decoded } from '../atproto/decoded.ts';
import { openObjectShape } from '../config/json-shape.ts';

/** What a DID document claims, before any check against other sources. */
export type DidDocument = {
  readonly did: string;
  /** The first at:// alias without its scheme, as written; null without one. */
  readonly claimedHandle: string | null;
  /** Origin of the personal data server, or null. */
  readonly pds: string | null;
  /** The key of `#atproto` as a multikey in multibase, or null. */
  readonly signingKey: string | null;
  /** Of a labeler: the origin of its service and the key of its labels, or null. */
  readonly labeler: string | null;
  readonly labelKey: string | null;
  /** `{"<fragment>":{"Type":…,"PublicKeyMultibase":…}}` */
  readonly keysJson: string;
  /** `{"<fragment>":{"Type":…,"URL":…}}` */
  readonly servicesJson: string;
};

/** Longer ones count as absent: a host's name has at most 253 bytes, a multikey about 49. */
const originLengthMax = 300;
const keyLengthMax = 128;
/** Types whose keys lack the prefix that names the curve. */
const curveByKeyType: ReadonlyMap<string, string> = new Map([
  ['EcdsaSecp256r1VerificationKey2019', 'ES256'],
  ['EcdsaSecp256k1VerificationKey2019', 'ES256K'],
]);

/** Why a document is refused. */
export type DidDocumentReason = 'document-not-json' | 'document-malformed' | 'document-of-another-did';

const methodShape = openObjectShape({
  id: v.string(),
  type: v.string(),
  controller: v.string(),
  publicKeyMultibase: v.optional(v.string(), ''),
});
const serviceShape = openObjectShape({
  id: v.string(),
  type: v.string(),
  serviceEndpoint: v.union([v.string(), openObjectShape({})]),
});
const documentShape = openObjectShape({
  id: v.optional(v.unknown()),
  alsoKnownAs: v.optional(v.array(v.string()), []),
  verificationMethod: v.optional(v.array(methodShape), []),
  service: v.optional(v.array(serviceShape), []),
});
type Service = v.InferOutput<typeof serviceShape>;
type Method = v.InferOutput<typeof methodShape>;

function fragmentOf(id: string): string | undefined {
  const fragment = id.split('#')[1];
  return fragment === '' ? undefined : fragment;
}

/** Null-prototype, so that a fragment named like a built-in property is only a name. */
function byFragment<Item extends { readonly id: string }>(
  items: readonly Item[],
  render: (item: Item) => unknown,
): string {
  const rendered: Record<string, unknown> = Object.create(null);
  for (const item of items) {
    const fragment = fragmentOf(item.id);
    const value = render(item);
    if (fragment !== undefined && value !== undefined) rendered[fragment] = value;
  }
  return JSON.stringify(rendered);
}

function originOf(did: string, services: readonly Service[], fragment: string, type: string): string | null {
  const found = services.find(({ id }) => id === fragment || id === `${did}${fragment}`);
  if (found?.type !== type || typeof found.serviceEndpoint !== 'string') return null;
  const url = URL.parse(found.serviceEndpoint);
  const isWeb = url !== null && (url.protocol === 'https:' || url.protocol === 'http:');
  return isWeb && url.origin.length <= originLengthMax ? url.origin : null;
}

function keyOf(did: string, methods: readonly Method[], fragment: string): string | null {
  const found = methods.find(({ id }) => id === fragment || id === `${did}${fragment}`);
  if (found === undefined || found.publicKeyMultibase.length > keyLengthMax) return null;
  const { type, publicKeyMultibase: key } = found;
  if (type === 'Multikey') return key === '' ? null : key;
  const curve = curveByKeyType.get(type);
  try {
    return curve === undefined ? null : formatMultikey(curve, multibaseToBytes(key));
  } catch {
    return null;
  }
}

/** Reads a document that was fetched for `did`. An absent list counts as empty. */
export function parseDidDocument(did: string, json: Buffer): Decoded<DidDocument, DidDocumentReason> {
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    return { ok: false, reason: 'document-not-json' };
  }
  return readDidDocument(did, value);
}

/** Like `parseDidDocument`, for JSON that was parsed. */
export function readDidDocument(did: string, value: unknown): Decoded<DidDocument, DidDocumentReason> {
  const checked = v.safeParse(documentShape, value, { abortEarly: true });
  if (!checked.success) return { ok: false, reason: 'document-malformed' };
  const { id, alsoKnownAs, verificationMethod, service } = checked.output;
  if (id !== did) return { ok: false, reason: 'document-of-another-did' };
  return {
    ok: true,
    value: {
      did,
      claimedHandle: alsoKnownAs.find((alias) => alias.startsWith('at://'))?.slice(5) ?? null,
      pds: originOf(did, service, '#atproto_pds', 'AtprotoPersonalDataServer'),
      signingKey: keyOf(did, verificationMethod, '#atproto'),
      labeler: originOf(did, service, '#atproto_labeler', 'AtprotoLabeler'),
      labelKey: keyOf(did, verificationMethod, '#atproto_label'),
      keysJson: byFragment(verificationMethod, ({ type, publicKeyMultibase }) => ({
        Type: type,
        PublicKeyMultibase: publicKeyMultibase,
      })),
      servicesJson: byFragment(service, ({ type, serviceEndpoint }) =>
        typeof serviceEndpoint === 'string' ? { Type: type, URL: serviceEndpoint } : undefined,
      ),
    },
  };
}

/**
 * Reads the facts that a data plane needs out of a DID document.
 *
 * Owns: which documents count as well formed, and the JSON of keys and services that identity answers carry.
 */
import type { Decoded } from '../atproto/decoded.ts';

/** What a DID document says, before anything is checked against other sources. */
export type DidDocument = {
  readonly did: string;
  /** The first at:// alias without its scheme, as written; null when there is none. */
  readonly claimedHandle: string | null;
  /** Origin of its personal data server, or null. */
  readonly pds: string | null;
  /** `{"<fragment>":{"Type":…,"PublicKeyMultibase":…}}` */
  readonly keysJson: string;
  /** `{"<fragment>":{"Type":…,"URL":…}}` */
  readonly servicesJson: string;
};

/** Why a document is refused. */
export type DidDocumentReason = 'document-not-json' | 'document-malformed' | 'document-of-another-did';

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasTexts(value: Fields, keys: readonly string[]): boolean {
  return keys.every((key) => typeof value[key] === 'string');
}

/** An absent list is an empty one; anything but a list of sound items spoils the document. */
function listOf<Item>(value: unknown, isItem: (item: unknown) => item is Item): readonly Item[] | null {
  if (value === undefined) return [];
  return Array.isArray(value) && value.every(isItem) ? value : null;
}

const isText = (item: unknown): item is string => typeof item === 'string';
const isMethod = (item: unknown): item is Fields =>
  isObject(item) &&
  hasTexts(item, ['id', 'type', 'controller']) &&
  (item['publicKeyMultibase'] === undefined || isText(item['publicKeyMultibase']));
const isServiceEntry = (item: unknown): item is Fields =>
  isObject(item) &&
  hasTexts(item, ['id', 'type']) &&
  (isText(item['serviceEndpoint']) || isObject(item['serviceEndpoint']));

function fragmentOf(item: Fields): string | undefined {
  const fragment = (item['id'] as string).split('#')[1];
  return fragment === '' ? undefined : fragment;
}

/** Null-prototype, so that a fragment named like a built-in property is only a name. */
function byFragment(items: readonly Fields[], render: (item: Fields) => unknown): string {
  const rendered: Record<string, unknown> = Object.create(null);
  for (const item of items) {
    const fragment = fragmentOf(item);
    const value = render(item);
    if (fragment !== undefined && value !== undefined) rendered[fragment] = value;
  }
  return JSON.stringify(rendered);
}

function pdsOf(did: string, services: readonly Fields[]): string | null {
  const found = services.find(({ id }) => id === '#atproto_pds' || id === `${did}#atproto_pds`);
  const endpoint = found?.['serviceEndpoint'];
  if (found?.['type'] !== 'AtprotoPersonalDataServer' || !isText(endpoint)) return null;
  const url = URL.parse(endpoint);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.origin : null;
}

/** Reads a document that was fetched for `did`. */
export function parseDidDocument(did: string, json: Buffer): Decoded<DidDocument, DidDocumentReason> {
  let document: unknown;
  try {
    document = JSON.parse(json.toString('utf8'));
  } catch {
    return { ok: false, reason: 'document-not-json' };
  }
  if (!isObject(document)) return { ok: false, reason: 'document-malformed' };
  const aliases = listOf(document['alsoKnownAs'], isText);
  const methods = listOf(document['verificationMethod'], isMethod);
  const services = listOf(document['service'], isServiceEntry);
  if (aliases === null || methods === null || services === null) return { ok: false, reason: 'document-malformed' };
  if (document['id'] !== did) return { ok: false, reason: 'document-of-another-did' };
  return {
    ok: true,
    value: {
      did,
      claimedHandle: aliases.find((alias) => alias.startsWith('at://'))?.slice(5) ?? null,
      pds: pdsOf(did, services),
      keysJson: byFragment(methods, (method) => ({
        Type: method['type'],
        PublicKeyMultibase: method['publicKeyMultibase'] ?? '',
      })),
      servicesJson: byFragment(services, (service) =>
        isText(service['serviceEndpoint']) ? { Type: service['type'], URL: service['serviceEndpoint'] } : undefined,
      ),
    },
  };
}

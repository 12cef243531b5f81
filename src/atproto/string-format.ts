/**
 * The string formats of the lexicon language, and of the protocol's own identifiers.
 *
 * They accept what the official validators accept in strict mode. All are linear in the length of the text, and lengths are bounded
 * first. Source: atproto.com/specs, and the behaviour of @atproto/syntax.
 */
import { parseCid } from './cid.ts';
import { isTid } from './compact-key.ts';

/** Formats by their names in the lexicon language. */
export type StringFormat =
  | 'at-identifier'
  | 'at-uri'
  | 'cid'
  | 'datetime'
  | 'did'
  | 'handle'
  | 'language'
  | 'nsid'
  | 'record-key'
  | 'tid'
  | 'uri';

const didPattern = /^did:[a-z]+:[\w.:%-]*[\w.-]$/;
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const handlePattern = new RegExp(`^(?:${label}\\.)+[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`);
const nsidPattern = new RegExp(
  `^[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.${label})+\\.[a-zA-Z][a-zA-Z0-9]{0,62}$`,
);
const recordKeyPattern = /^[\w~.:-]{1,512}$/;
const uriPattern = /^\w+:(?:\/\/)?[^\s/]\S*$/;

/** True for a `did:plc` as the directory gives them out, the one kind that is common enough for a short way. */
function isPlcAt(text: string, start: number): boolean {
  if (!text.startsWith('did:plc:', start)) return false;
  for (let index = start + 8; index < start + 32; index++) {
    const code = text.charCodeAt(index);
    const isBase32 = (code >= 0x61 && code <= 0x7a) || (code >= 0x32 && code <= 0x37);
    if (!isBase32) return false;
  }
  return true;
}

/** True for a DID of any method, at most 2,048 characters long. Keys take shorter ones only: see `didLengthMax`. */
export function isDid(text: string): boolean {
  if (text.length === 32 && isPlcAt(text, 0)) return true;
  return text.length <= 2048 && didPattern.test(text);
}

/** True for a domain name of at least two parts, in either case. */
function isHandle(text: string): boolean {
  return text.length <= 253 && handlePattern.test(text);
}

/** True for a DID or a handle. */
function isAtIdentifier(text: string): boolean {
  return text.startsWith('did:') ? isDid(text) : isHandle(text);
}

/** NSIDs that were found valid lately; strangers can fill it only with valid ones, and it is emptied when full. */
const knownNsids = new Set<string>();

/** True for a reversed domain name and a name behind it. */
function isNsid(text: string): boolean {
  if (text.length > 317) return false;
  if (knownNsids.has(text)) return true;
  if (!nsidPattern.test(text)) return false;
  if (knownNsids.size >= 512) knownNsids.clear();
  knownNsids.add(text);
  return true;
}

/** True for a record key of any kind, at most 512 characters long. */
export function isRecordKey(text: string): boolean {
  return isTid(text) || (recordKeyPattern.test(text) && text !== '.' && text !== '..');
}

/** True for anything that begins like a URI and has no white space. */
function isUri(text: string): boolean {
  return uriPattern.test(text);
}

const atUriPattern = /^at:\/\/([^/?#\s]+)(?:\/([^/?#\s]+)(?:\/([^/?#\s]+))?)?(?:#(\S*))?$/;
const atUriOtherCharacter = /[^a-zA-Z0-9._~:@!$&'()*+,;=%/\\[\]#?-]/;
const jsonPointerPattern = /^\/[a-zA-Z0-9._~:@!$&')(*+,;=%[\]/-]*$/;

function isFragment(text: string): boolean {
  if (!jsonPointerPattern.test(text)) return false;
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    // A percent sign without two hex digits, or bytes that are not UTF-8.
    return false;
  }
}

/** True for an AT-URI without query and trailing slash; collection, key and fragment may be missing. */
function isAtUri(text: string): boolean {
  if (text.length > 8192) return false;
  // Nearly all are at://did:plc:…/nsid/tid, which needs no pattern.
  if (text.charCodeAt(37) === 0x2f && text.startsWith('at://') && isPlcAt(text, 5)) {
    const slash = text.indexOf('/', 38);
    if (slash === text.length - 14 && isTid(text.slice(slash + 1)) && isNsid(text.slice(38, slash))) return true;
  }
  if (atUriOtherCharacter.test(text)) return false;
  const match = atUriPattern.exec(text);
  if (match === null || !isAtIdentifier(match[1]!)) return false;
  if (match[2] !== undefined && !isNsid(match[2])) return false;
  if (match[3] !== undefined && !isRecordKey(match[3])) return false;
  return match[4] === undefined || isFragment(match[4]);
}

const datetimePattern =
  /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:[0-2][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$/;
const year0Ms = -62_167_219_200_000;
const year10000Ms = 253_402_300_800_000;

/** Reads two digits at `at`. Returns a number above 99 when they are not digits. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : 1000;
}

/** True for `YYYY-MM-DDTHH:MM:SS.mmmZ` within the first 28 days of a month, which needs no calendar. */
function isPlainDatetime(text: string): boolean {
  return (
    text.length === 24 &&
    text.charCodeAt(23) === 0x5a &&
    text.charCodeAt(4) === 0x2d &&
    text.charCodeAt(7) === 0x2d &&
    text.charCodeAt(10) === 0x54 &&
    text.charCodeAt(13) === 0x3a &&
    text.charCodeAt(16) === 0x3a &&
    text.charCodeAt(19) === 0x2e &&
    twoDigits(text, 0) + twoDigits(text, 2) < 1000 &&
    twoDigits(text, 5) - 1 < 12 &&
    twoDigits(text, 5) > 0 &&
    twoDigits(text, 8) - 1 < 28 &&
    twoDigits(text, 8) > 0 &&
    twoDigits(text, 11) < 24 &&
    twoDigits(text, 14) < 60 &&
    twoDigits(text, 17) < 60 &&
    twoDigits(text, 20) + twoDigits(text, 21) < 1000
  );
}

/** True for an RFC 3339 time with a zone, in the years 0 to 9999 of UTC. A zone of -00:00 is refused. */
export function isDatetime(text: string): boolean {
  if (isPlainDatetime(text)) return true;
  if (text.length > 64 || text.endsWith('-00:00') || !datetimePattern.test(text)) return false;
  // The parser decides about days that a month does not have, and refuses leap seconds.
  const ms = Date.parse(text);
  return ms >= year0Ms && ms < year10000Ms;
}

const irregularTags = new Set(
  (
    'en-GB-oed i-ami i-bnn i-default i-enochian i-hak i-klingon i-lux i-mingo i-navajo i-pwn i-tao i-tay i-tsu ' +
    'sgn-BE-FR sgn-BE-NL sgn-CH-DE art-lojban cel-gaulish no-bok no-nyn zh-guoyu zh-hakka zh-min zh-min-nan zh-xiang'
  ).split(' '),
);
const variantPattern = /^(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})$/;
const privateUsePattern = /^[xX](?:-[A-Za-z0-9]{1,8})+$/;

/** Takes subtags from `at` on while they match. Returns the index of the first that does not; -1 when one comes twice. */
function skipUnique(subtags: readonly string[], from: number, pattern: RegExp): number {
  const seen = new Set<string>();
  let at = from;
  for (; at < subtags.length && pattern.test(subtags[at]!); at++) {
    const key = subtags[at]!.toLowerCase();
    if (seen.has(key)) return -1;
    seen.add(key);
  }
  return at;
}

/** Takes extensions: a singleton, then subtags of 2 to 8. Returns the index behind them, or -1 when they are malformed. */
function skipExtensions(subtags: readonly string[], from: number): number {
  const seen = new Set<string>();
  let at = from;
  while (at < subtags.length && /^[0-9A-WYZa-wyz]$/.test(subtags[at]!)) {
    const singleton = subtags[at++]!.toLowerCase();
    const first = at;
    while (at < subtags.length && /^[A-Za-z0-9]{2,8}$/.test(subtags[at]!)) at++;
    if (at === first || seen.has(singleton)) return -1;
    seen.add(singleton);
  }
  return at;
}

/** True for a well-formed BCP 47 tag whose primary subtag is two or three lower-case letters. */
function isLanguage(text: string): boolean {
  if (/^[a-z]{2}$/.test(text)) return true;
  if (irregularTags.has(text) || privateUsePattern.test(text)) return true;
  const subtags = text.split('-');
  if (!/^[a-z]{2,3}$/.test(subtags[0]!)) return false;
  let at = 1;
  while (at < subtags.length && at <= 3 && /^[A-Za-z]{3}$/.test(subtags[at]!)) at++;
  if (at < subtags.length && /^[A-Za-z]{4}$/.test(subtags[at]!)) at++;
  if (at < subtags.length && /^(?:[A-Za-z]{2}|[0-9]{3})$/.test(subtags[at]!)) at++;
  at = skipUnique(subtags, at, variantPattern);
  if (at < 0) return false;
  at = skipExtensions(subtags, at);
  if (at < 0) return false;
  return at === subtags.length || privateUsePattern.test(subtags.slice(at).join('-'));
}

/** Padding is not canonical, but the official validator passes over it. */
const base32Pattern = /^b([a-z2-7]+)=*$/;
const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const base58Alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Decodes base32 without padding. Returns undefined when bits are left over, which makes a second spelling. */
function base32Decode(text: string): number[] | undefined {
  const bytes: number[] = [];
  let window = 0;
  let bits = 0;
  for (const digit of text) {
    window = ((window & 127) << 5) | base32Alphabet.indexOf(digit);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((window >>> bits) & 255);
    }
  }
  return bits >= 5 || (window & ((1 << bits) - 1)) !== 0 ? undefined : bytes;
}

/** True for any CIDv1: version, codec, hash code and hash length as varints, then as many bytes as the length says. */
function isCidV1(bytes: readonly number[]): boolean {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length && scale < 2 ** 50; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return -1;
  };
  if (varint() !== 1 || varint() < 0 || varint() < 0) return false;
  const digestBytes = varint();
  return digestBytes >= 0 && bytes.length - at === digestBytes;
}

/** True for the 46 characters of a CIDv0: base58 of a sha2-256 multihash. */
function isCidV0(text: string): boolean {
  if (text.length !== 46 || !text.startsWith('Qm')) return false;
  let value = 0n;
  for (const digit of text) {
    const index = base58Alphabet.indexOf(digit);
    if (index < 0) return false;
    value = value * 58n + BigInt(index);
  }
  return value >> 256n === 0x1220n;
}

/** True for the canonical text of a CID of any kind, since records may name content of other systems. */
function isCidText(text: string): boolean {
  if (parseCid(text) !== undefined) return true;
  if (text.length > 128) return false;
  const digits = base32Pattern.exec(text)?.[1];
  if (digits === undefined) return isCidV0(text);
  const bytes = base32Decode(digits);
  return bytes !== undefined && isCidV1(bytes);
}

/** The check of each format. */
export const checkByFormat: Readonly<Record<StringFormat, (text: string) => boolean>> = {
  'at-identifier': isAtIdentifier,
  'at-uri': isAtUri,
  cid: isCidText,
  datetime: isDatetime,
  did: isDid,
  handle: isHandle,
  language: isLanguage,
  nsid: isNsid,
  'record-key': isRecordKey,
  tid: isTid,
  uri: isUri,
};

/**
 * The string formats of the lexicon language, and of the protocol's own identifiers.
 *
 * @atproto/syntax in strict mode decides what is valid. Common forms take cheaper fast paths first:
 * an AT-URI of a did:plc with a TID, a cached NSID, a UTC time with milliseconds, a two-letter
 * language. A property test holds that both agree; `bench/codecs` shows what the paths save.
 */
import {
  isAtUriString,
  isValidAtIdentifier,
  isValidDatetime,
  isValidDid,
  isValidHandle,
  isValidNsid,
  isValidRecordKey,
  isValidUri,
  parseLanguageString,
} from '@atproto/syntax';
import { CID } from 'multiformats/cid';
import { parseCid } from './cid.ts';
import { isPlcText } from './did-plc.ts';
import { isTid } from './tid.ts';

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

/** Cache of valid NSIDs, cleared when full. Untrusted input can only add valid ones. */
const validNsids = new Set<string>();
const validNsidsMax = 512;

function isNsid(text: string): boolean {
  if (validNsids.has(text)) return true;
  if (!isValidNsid(text)) return false;
  if (validNsids.size >= validNsidsMax) validNsids.clear();
  validNsids.add(text);
  return true;
}

/** True for an AT-URI without query and trailing slash; the parts after the DID are optional. */
function isAtUri(text: string): boolean {
  // Nearly all are at://did:plc:…/nsid/tid.
  if (text.charCodeAt(37) === 0x2f && text.startsWith('at://') && isPlcText(text, 5)) {
    const slash = text.indexOf('/', 38);
    if (slash === text.length - 14 && isTid(text.slice(slash + 1)) && isNsid(text.slice(38, slash))) return true;
  }
  return isAtUriString(text, { strict: true });
}

/** Reads two digits at `at`. Returns a number above 99 when they are not digits. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : 1000;
}

/** True for `YYYY-MM-DDTHH:MM:SS.mmmZ` up to day 28 of a month, which needs no calendar. */
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

/** True for an RFC 3339 time with a zone other than -00:00, in the years 0 to 9999 of UTC. */
export function isDatetime(text: string): boolean {
  return isPlainDatetime(text) || isValidDatetime(text);
}

function isLanguage(text: string): boolean {
  return /^[a-z]{2}$/.test(text) || parseLanguageString(text) !== null;
}

/** Longer texts are refused unread. Units: characters. */
const cidLengthMax = 128;

/** True for the canonical text of any kind of CID, since records may link to other systems. */
function isCidText(text: string): boolean {
  if (parseCid(text) !== undefined) return true;
  if (text.length > cidLengthMax) return false;
  try {
    return CID.parse(text).toString() === text;
  } catch {
    return false;
  }
}

/** The check of each format. */
export const checkByFormat: Readonly<Record<StringFormat, (text: string) => boolean>> = {
  'at-identifier': isValidAtIdentifier,
  'at-uri': isAtUri,
  cid: isCidText,
  datetime: isDatetime,
  did: isValidDid,
  handle: isValidHandle,
  language: isLanguage,
  nsid: isNsid,
  'record-key': isValidRecordKey,
  tid: isTid,
  uri: isValidUri,
};

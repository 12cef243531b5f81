/**
 * How filters are spelt as terms of the index: a letter after `=`, which no word of a text holds.
 *
 * Values that are not plain letters and digits are hashed, since the index parts its terms at
 * everything else.
 */
import { hash } from 'node:crypto';
import type { postTraits, SearchTerm } from '../wire/search-messages.ts';
import { foldText } from './tokenise.ts';

const plain = /^[a-z0-9\u0080-\u{10ffff}]{1,64}$/u;
const plcPattern = /^did:plc:([a-z2-7]{24})$/;

/** 64 bits: of a hundred million values, two share one in a thousand indexes. */
function hashed(value: string): string {
  return `_${hash('sha256', value, 'hex').slice(0, 16)}`;
}

function plainOrHashed(value: string): string {
  return plain.test(value) ? value : hashed(value);
}

/** Of the posts of an owner, whose slot has `key` in this index. */
export function authorTerm(key: number, owner: number): string {
  return `=a${key.toString(36)}_${owner.toString(36)}`;
}

/** Of posts that mention a DID. */
export function mentionTerm(did: string): string {
  const letters = plcPattern.exec(did)?.[1];
  return `=m${letters ?? hashed(did)}`;
}

/** Of posts with a tag, without its `#`. */
export function tagTerm(tag: string): string {
  return `=t${plainOrHashed(foldText(tag.trim()))}`;
}

/** Languages count by their first part, which says what people read. */
export function languageTerm(language: string): string {
  return `=l${plainOrHashed(language.toLowerCase().split('-')[0]!)}`;
}

/** Of a record that is embedded, or that is a reply's parent or root. */
export function uriTerm(letter: 'e' | 'p' | 'r', uri: string): string {
  return `=${letter}${hashed(uri)}`;
}

/** Of posts that are replies, or originals, or show media. */
export function traitTerm(trait: (typeof postTraits)[number]): string {
  return `=x${trait}`;
}

const hostLabelsMax = 4;

function hostOf(url: URL): string {
  return url.hostname.replace(/^www\./, '').replace(/\.$/, '');
}

function domainTerm(host: string): string {
  // Both are letters to the index.
  const spelt = host.replaceAll('.', '_').replaceAll('-', '=');
  return `=d${/^[a-z0-9_=]{1,64}$/.test(spelt) ? spelt : hashed(host)}`;
}

/** Returns the terms by which a link is found: its host, the domains above it, and itself. */
export function linkTerms(link: string): string[] {
  const url = URL.parse(link);
  if (url === null || url.hostname === '') return [];
  const labels = hostOf(url).split('.').slice(-hostLabelsMax);
  const domains = labels.slice(0, -1).map((_label, index) => domainTerm(labels.slice(index).join('.')));
  if (domains.length === 0) domains.push(domainTerm(labels[0]!));
  return [...domains, urlTerm(url)];
}

/** What names the same page has one spelling: case of the host, port, end, fragment, scheme. */
function urlTerm(url: URL): string {
  return `=u${hashed(`${hostOf(url)}${url.pathname.replace(/\/+$/, '')}${url.search}`)}`;
}

/** Returns the term of a filter; undefined for a value that no post can have. */
export function filterTerm({ kind, value }: SearchTerm): string | undefined {
  switch (kind) {
    case 'mention':
      return mentionTerm(value);
    case 'tag':
      return tagTerm(value);
    case 'language':
      return languageTerm(value);
    case 'domain': {
      const url = URL.parse(`https://${value}`);
      return url === null ? undefined : domainTerm(hostOf(url).split('.').slice(-hostLabelsMax).join('.'));
    }
    case 'url': {
      const url = URL.parse(value);
      return url === null ? undefined : urlTerm(url);
    }
    case 'embed':
      return uriTerm('e', value);
    case 'parent':
      return uriTerm('p', value);
    case 'root':
      return uriTerm('r', value);
    case 'is':
      return traitTerm(value as (typeof postTraits)[number]);
    case 'text':
    case 'author':
      // These need the tokeniser, or the slots of this node.
      return undefined;
  }
}

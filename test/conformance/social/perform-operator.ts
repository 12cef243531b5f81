/** What operators write in a random history. */
import { NotServed, type Operator } from '../network/operator.ts';
import { type Community, choose, type Suggestion } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';
import { collections, type Perform } from './perform-posts.ts';
import { accesses, ageStatuses } from './perform-private.ts';

const values = ['spam', 'nudity', '!hide', '!takedown', 'nice', '!no-unauthenticated'] as const;
const hourMs = 3_600_000;
const suggestionKinds = ['feeds', 'follows', 'follows', 'tagged'] as const;
const tags = ['art', 'news'] as const;

/** Writes as the operator of every plane, ours first. */
function asOperator(act: (operator: Operator, community: Community, operation: Operation) => Promise<string>): Perform {
  return async (community, operation) => {
    let line = '';
    for (const operator of community.operators) {
      try {
        line = await act(operator, community, operation);
      } catch (error) {
        if (!(error instanceof NotServed)) throw error;
        community.unserved.add(error.message);
        return;
      }
    }
    if (line !== '') community.trace.push(`operator: ${line}`);
  };
}

/** Labels an actor, a record or a version of one, or takes such a label back. */
const label = asOperator(async (operator, community, operation) => {
  const { variant, by, whom, id, first } = operation;
  const record = choose(community.records, first);
  const isOfActor = variant % 3 === 0 || record === undefined;
  const written = {
    src: community.did(by),
    uri: isOfActor ? community.did(whom) : record.uri,
    ...(variant % 4 === 1 && !isOfActor ? { cid: record.cid } : {}),
    val: values[id % values.length]!,
    ...(variant > 8 ? { neg: true } : {}),
    // Later than any before it, whatever clock the history runs by.
    cts: new Date(community.startMs + community.trace.length * 10).toISOString(),
    ...(variant === 4 ? { exp: new Date(community.startMs + hourMs).toISOString() } : {}),
    ...(variant === 5 ? { exp: new Date(community.startMs - hourMs).toISOString() } : {}),
  };
  await operator.label(written);
  return `labels ${JSON.stringify(written)}`;
});

const trust = asOperator(async (operator, community, { by, variant }) => {
  const name = community.active(by);
  if (name === undefined) return '';
  const isTrusted = variant % 3 !== 0;
  await operator.trustVerifier(community.writer.did(name), isTrusted);
  return `${isTrusted ? 'trusts' : 'distrusts'} ${name}`;
});

const tag = asOperator(async (operator, community, { first, variant }) => {
  const record = choose(
    community.records.filter(({ exists }) => exists),
    first,
  );
  if (record === undefined) return '';
  const given = ['one', 'two', 'three'].slice(0, variant % 4);
  await operator.tagRecord(record.uri, given);
  return `tags ${record.uri} ${JSON.stringify(given)}`;
});

/** Sets some of what is known of an actor's age. */
const setAge = asOperator(async (operator, community, { by, variant, id }) => {
  const did = community.did(by);
  const age = {
    status: ageStatuses[variant % ageStatuses.length]!,
    ...(variant % 3 === 0 ? {} : { access: accesses[id % accesses.length]! }),
    ...(variant % 2 === 0 ? {} : { lastInitiatedAt: new Date(community.startMs).toISOString() }),
  };
  await operator.setAge(did, age);
  community.didsWithAge.add(did);
  return `age assurance of ${did}: ${JSON.stringify(age)}`;
});

/** Clears what is known of an actor's age, if operators have said something of any. */
const clearAge = asOperator(async (operator, community, { by, first }) => {
  const known = [...community.didsWithAge];
  const did = known.length === 0 ? community.did(by) : known[first % known.length]!;
  await operator.clearAge(did);
  return `clears the age assurance of ${did}`;
});

/** Suggests to everyone what is not suggested, or ends that. */
const suggest = asOperator(async (operator, community, { variant, whom, first }) => {
  const kind = suggestionKinds[variant % suggestionKinds.length]!;
  // Of a feed nothing but its URI is needed.
  const feed = community.find(collections.feed, first)?.uri ?? `at://${community.did(whom)}/${collections.feed}/none`;
  const isFeed = kind === 'feeds' || (kind === 'tagged' && variant > 5);
  const subject = isFeed ? feed : community.did(whom);
  const tag = kind === 'tagged' ? tags[variant % tags.length]! : '';
  const suggestion: Suggestion = { kind, tag, subject };
  const isSuggested = community.suggestions.has(idOf(suggestion));
  if (isSuggested) await end(operator, suggestion);
  else if (kind === 'tagged') await operator.suggestTagged(tag, subject, subject.startsWith('did:') ? 'actor' : 'feed');
  else await operator.suggest(kind, [subject]);
  // All operators do the same, the last of them last.
  if (operator === community.operators.at(-1)) {
    if (isSuggested) community.suggestions.delete(idOf(suggestion));
    else community.suggestions.set(idOf(suggestion), suggestion);
  }
  return `${isSuggested ? 'ends a suggestion' : 'suggests'} ${JSON.stringify(suggestion)}`;
});

function idOf({ kind, tag, subject }: Suggestion): string {
  return `${kind} ${tag} ${subject}`;
}

async function end(operator: Operator, { kind, tag, subject }: Suggestion): Promise<void> {
  await (kind === 'tagged' ? operator.unsuggestTagged(tag, subject) : operator.unsuggest(kind, subject));
}

/** Ends all suggestions of a history, which those of later ones would follow. */
export async function endSuggestions({ operators, suggestions }: Community): Promise<void> {
  for (const operator of operators) for (const suggestion of suggestions.values()) await end(operator, suggestion);
}

export const operatorOperations = {
  suggest,
  label,
  'trust a verifier': trust,
  'tag a record': tag,
  'set age assurance': setAge,
  'clear age assurance': clearAge,
} satisfies Partial<Record<OperationKind, Perform>>;

/**
 * The bounds whose removal must be noticed: each as the text to replace, and what catches it.
 *
 * Source: the sites where hostile input is bounded; `ops/security.md` lists the limits.
 */
export type Mutant = {
  /** The bound that is removed. */
  readonly bound: string;
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
  readonly caughtBy:
    | { readonly tests: readonly string[] }
    | { readonly target: string; readonly seed: number; readonly seconds: number };
};

export const mutants: readonly Mutant[] = [
  {
    bound: 'JSON of one record',
    file: 'src/atproto/record-block.ts',
    text: 'size.jsonBytes > inputLimits.recordJsonBytesMax',
    replacement: 'size.jsonBytes < 0',
    caughtBy: { tests: ['test/unit/atproto/input-limits.test.ts'] },
  },
  {
    bound: 'bytes and JSON of one commit',
    file: 'src/atproto/commit-ops.ts',
    text: 'if (sorter.isTooLarge)',
    replacement: 'if (sorter.isTooLarge && rawOps.length < 0)',
    caughtBy: { tests: ['test/unit/atproto/input-limits.test.ts'] },
  },
  {
    bound: 'JSON of one entry of a snapshot',
    file: 'src/atproto/repo-car.ts',
    text: 'return isWithin || this.ops.length === 0;',
    replacement: 'return isWithin || this.ops.length >= 0;',
    caughtBy: { tests: ['test/unit/atproto/input-limits.test.ts'] },
  },
  {
    bound: 'what the keys of a repo expand to',
    file: 'src/atproto/repo-car.ts',
    text: 'if (bytesLeft < 0)',
    replacement: 'if (bytesLeft > Number.MAX_SAFE_INTEGER)',
    caughtBy: { tests: ['test/unit/atproto/input-limits.test.ts'] },
  },
  {
    bound: 'paths of a commit, each once',
    file: 'src/atproto/commit-ops.ts',
    text: "if (repeatsPath(rawOps)) return withoutOps('path-duplicate');",
    replacement: '',
    caughtBy: { tests: ['test/unit/atproto/firehose-event.test.ts', 'test/integration/ingest-hostile.test.ts'] },
  },
  {
    bound: 'parts of references, valid and within keys',
    file: 'src/atproto/compact-key.ts',
    text: '(isKnown || isValidNsid(collection)) && isValidRecordKey(rkey) && isKeyableDid(did)',
    replacement: 'collection.length > 0 && rkey.length > 0',
    caughtBy: { tests: ['test/property/slot/key-bounds.test.ts', 'test/unit/atproto/record-rules.test.ts'] },
  },
  {
    bound: 'revs and times ahead of our clock',
    file: 'src/ingest/ahead-watch.ts',
    text: 'return timeMs > nowMs + aheadMsMax;',
    replacement: 'return timeMs < 0;',
    caughtBy: { tests: ['test/integration/ingest-ahead.test.ts'] },
  },
  {
    bound: 'bursts of accounts that look ahead',
    file: 'src/ingest/ahead-watch.ts',
    text: 'window.ahead.size > window.sound.size',
    replacement: 'window.ahead.size > 0',
    caughtBy: { tests: ['test/integration/ingest-ahead.test.ts'] },
  },
  {
    bound: 'what a slot that lost its rows denies',
    file: 'src/read/lookup/slot-lookup.ts',
    text: "state.isKnownComplete = condition === 'complete';",
    replacement: "state.isKnownComplete = condition !== 'new';",
    caughtBy: { tests: ['test/integration/slot-generations.test.ts'] },
  },
  {
    bound: 'signature of a fetched repo',
    file: 'src/ingest/repo-fetch.ts',
    text: "if (!isSigned) return { ok: false, reason: 'signature-wrong'",
    replacement: "if (isSigned === null) return { ok: false, reason: 'signature-wrong'",
    caughtBy: { tests: ['test/integration/ingest-backfill.test.ts'] },
  },
  {
    bound: 'origins of web pages',
    file: 'src/http/page-guard.ts',
    text: "if (origin !== '') return refusal(",
    replacement: "if (origin === 'x') return refusal(",
    caughtBy: { tests: ['test/integration/pages.test.ts'] },
  },
  {
    bound: 'time of a body',
    file: 'src/http/request-body.ts',
    text: "late('bodyMsMax');",
    replacement: '',
    caughtBy: { tests: ['test/integration/slow-clients.test.ts'] },
  },
  {
    bound: 'rows of one page of edges',
    file: 'src/slot/table/edge-walk.ts',
    text: 'if (this.#budget.left-- <= 0) return -1;',
    replacement: '',
    caughtBy: { tests: ['test/property/slot/edge-walk.test.ts', 'test/integration/reads-bounded.test.ts'] },
  },
  {
    bound: 'cost of long work in one entry',
    file: 'src/slot/apply/thread-apply.ts',
    text: 'while (context.workUsLeft > 0) {',
    replacement: 'while (context.workUsLeft < Number.POSITIVE_INFINITY) {',
    caughtBy: { tests: ['test/unit/slot/entry-cost.test.ts'] },
  },
  {
    bound: 'replies that one entry judges again for a follow',
    file: 'src/slot/apply/fact-verdicts.ts',
    text: 'if (context.workUsLeft <= 0) return { ...work, fromMs, after };',
    replacement: '',
    caughtBy: { tests: ['test/unit/slot/entry-cost.test.ts'] },
  },
  {
    bound: 'replies judged again by a list item that says nothing new',
    file: 'src/slot/apply/gated-edge-apply.ts',
    text: '|| (after !== undefined && before?.equals(after))',
    replacement: '',
    caughtBy: { tests: ['test/unit/slot/entry-cost.test.ts'] },
  },
  {
    bound: 'rows that versions of a reply leave with its gate',
    file: 'src/slot/apply/thread-apply.ts',
    text: 'if (isEnded && thread.policy !== undefined) removeJudgement(context, thread, before);',
    replacement: '',
    caughtBy: { tests: ['test/unit/slot/gate-questions.test.ts'] },
  },
  {
    bound: 'what a rule that throws takes with it',
    file: 'src/slot/slot.ts',
    text: 'if (!(thrown instanceof EntryFailure)) throw thrown;',
    replacement: 'throw thrown;',
    caughtBy: { tests: ['test/unit/slot/quarantine.test.ts'] },
  },
  {
    bound: 'for whom a PDS speaks',
    file: 'src/ingest/speaker.ts',
    text: "return fact.pds === pds ? 'allowed' : 'speaker-other-host';",
    replacement: "return 'allowed';",
    caughtBy: { tests: ['test/unit/ingest/source-trust.test.ts', 'test/integration/ingest-speaker.test.ts'] },
  },
  {
    bound: 'bytes of a page token',
    file: 'src/proto/page-token.ts',
    text: 'return isTooLong ||',
    replacement: 'return',
    caughtBy: { target: 'tokens', seed: 1, seconds: 30 },
  },
  {
    bound: 'trees that cannot be undone',
    file: 'src/atproto/commit-proof.ts',
    text: 'if (thrown instanceof TreeFault) return refuse(thrown.reason);',
    replacement: '',
    caughtBy: { target: 'proofs', seed: 1, seconds: 30 },
  },
  {
    bound: 'levels of JSON',
    file: 'src/base/bounded-json.ts',
    text: 'if (++depth > jsonDepthMax)',
    replacement: 'if (++depth > text.length)',
    caughtBy: { tests: ['test/unit/base/bounded-json.test.ts'] },
  },
  {
    bound: 'fields that each part of a request has',
    file: 'src/router/plan/item-split.ts',
    text: 'if (this.bytes > otherBytesMax)',
    replacement: 'if (this.bytes < 0)',
    caughtBy: { tests: ['test/unit/router/plans/by-item.test.ts'] },
  },
  {
    bound: 'bytes of one entry of the log',
    file: 'src/log/remote-log.ts',
    text: '> entryBytesMax',
    replacement: '> Number.MAX_SAFE_INTEGER',
    caughtBy: { tests: ['test/unit/log/remote-log.test.ts'] },
  },
  {
    bound: 'look-ups at one site',
    file: 'src/identity/site-limits.ts',
    text: 'state.running < this.#bounds.siteRunningMax',
    replacement: 'state.running < Number.POSITIVE_INFINITY',
    caughtBy: { tests: ['test/integration/ingest-lookups.test.ts', 'test/unit/ingest/identity-queue.test.ts'] },
  },
  {
    bound: 'rows of a page of notifications',
    file: 'src/read/answer/notifications.ts',
    text: 'scanned++ >= scannedMax',
    replacement: 'scanned++ < 0',
    caughtBy: { tests: ['test/integration/reads-bounded.test.ts'] },
  },
  {
    bound: 'rows of a thread',
    file: 'src/read/answer/thread-levels.ts',
    text: 'const threadRowsMax = 10_000;',
    replacement: 'const threadRowsMax = 1_000_000;',
    caughtBy: { tests: ['test/integration/reads-bounded.test.ts'] },
  },
  {
    bound: 'time of one turn of a read',
    file: 'src/read/lookup/turn.ts',
    text: 'return this.#clock.monotonicMs() >= this.#endMs;',
    replacement: 'return false;',
    caughtBy: { tests: ['test/integration/reads-turns.test.ts'] },
  },
  {
    bound: 'bytes of an answer by keys',
    file: 'src/read/lookup/turn.ts',
    text: '|| answerBytes > answerBytesMax',
    replacement: '',
    caughtBy: { tests: ['test/integration/large-answers.test.ts'] },
  },
  {
    bound: 'pace of an answer',
    file: 'src/identity/public-fetch.ts',
    text: 'if (leftMs <= 0) return this.#end();',
    replacement: 'if (leftMs <= 0) return;',
    caughtBy: { tests: ['test/unit/identity/public-fetch.test.ts'] },
  },
  {
    bound: 'signature of a commit',
    file: 'src/atproto/commit-proof.ts',
    text: "if (!isCommitSignedBy(key, commit.value)) return refuse('signature-wrong');",
    replacement: '',
    caughtBy: { tests: ['test/unit/atproto/commit-proof.test.ts'] },
  },
  {
    bound: 'one spelling of a signature',
    file: 'src/atproto/signing-key.ts',
    text: ' && curves[curve].halfOrder.compare(signature, signatureBytes / 2) >= 0;',
    replacement: ';',
    caughtBy: { tests: ['test/unit/atproto/commit-proof.test.ts'] },
  },
  {
    bound: 'root that undone ops lead to',
    file: 'src/atproto/commit-proof.ts',
    text: "return isSame(tree.rootCid(), prevData) ? null : 'prev-data-wrong';",
    replacement: 'return null;',
    caughtBy: { tests: ['test/unit/atproto/commit-proof.test.ts'] },
  },
  {
    bound: 'what waits for proofs, for look-ups and for the log',
    file: 'src/ingest/backlog.ts',
    text: 'return this.#items < this.#limits.items && this.#bytes < this.#limits.bytes;',
    replacement: 'return true;',
    caughtBy: { tests: ['test/unit/ingest/event-admission.test.ts'] },
  },
  {
    bound: 'fresh look-ups on suspicion',
    file: 'src/ingest/account-facts.ts',
    text: 'if (this.#sinceAskedMs(did) < againMs) return this.known(did) ?? null;',
    replacement: '',
    caughtBy: { tests: ['test/unit/ingest/account-facts.test.ts'] },
  },
  {
    bound: 'wait for a look-up',
    file: 'src/ingest/account-facts.ts',
    text: 'return await Promise.race([lookup, this.#options.clock.sleep(waitMsMax, over.signal).then(() => null)]);',
    replacement: 'return await lookup;',
    caughtBy: { tests: ['test/unit/ingest/account-facts.test.ts'] },
  },
];

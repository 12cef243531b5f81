/** `skyshard tag set`, `age …`, `verifier …`: what operators say about records and actors. */

import { recordsMethods } from '../../atproto/collection.ts';
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { urlOf } from '../process/run-file.ts';
import { callService, listOf, type ServiceAddress, type ServiceAnswer } from '../service-call.ts';

const requestTimeoutMs = 30_000;

function routerOf({ settings }: CommandContext): ServiceAddress {
  return { url: urlOf('router', settings.routerUrl, settings.dataDir), timeoutMs: requestTimeoutMs };
}

function say({ settings, print }: CommandContext, answer: object, text: string): number {
  print(settings.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return exitCode.done;
}

async function actorOf(context: CommandContext, did: string): Promise<ServiceAnswer> {
  const request = { dids: [did], returnAgeAssuranceForDids: [did] };
  return listOf(await callService(routerOf(context), 'GetActors', request), 'actors')[0] ?? {};
}

/** Returns the tags that a record or an actor has now. */
async function tagsOf(context: CommandContext, subject: string): Promise<readonly unknown[]> {
  const collection = parseRecordUri(subject)?.collection;
  const method = recordsMethods.find((row) => row.nsid === collection)?.recordsMethod;
  if (!subject.startsWith('at://')) return tagList(await actorOf(context, subject));
  if (method === undefined || method === null)
    throw new DataPlaneError('InvalidArgument', `${subject} is not the AT-URI of a record that can be read`);
  return tagList(listOf(await callService(routerOf(context), method, { uris: [subject] }), 'records')[0] ?? {});
}

function tagList({ tags }: ServiceAnswer): readonly unknown[] {
  return Array.isArray(tags) ? tags : [];
}

function textOf(tags: readonly unknown[]): string {
  return tags.length === 0 ? 'no tags' : tags.join(', ');
}

/** Replaces the tags of a record or an actor, or shows what that would replace. */
export const runTagSet: Command = async (context) => {
  const [subject, ...tags] = context.operands;
  const before = await tagsOf(context, subject!);
  const { dryRun } = context.settings;
  if (!dryRun) await askRouter(context, '/v1/tags', { subject, tags });
  const verb = dryRun ? 'would have' : 'has';
  return say(context, { subject, before, tags, dryRun }, `${subject}: had ${textOf(before)}, ${verb} ${textOf(tags)}`);
};

/** Sets what is known about an actor's age, or shows what that would replace. */
export const runAgeSet: Command = async (context) => {
  const [did, status] = context.operands;
  const { access, dryRun } = context.settings;
  if (dryRun) {
    const { ageAssuranceStatus: before } = await actorOf(context, did!);
    const given = access === null ? '' : ` and the access ${access}`;
    const text = `${did}: has ${JSON.stringify(before)}, would have the status ${status}${given}`;
    return say(context, { did, before, status, access, dryRun }, text);
  }
  await askRouter(context, '/v1/age-assurance', { did, status, ...(access === null ? {} : { access }) });
  const { ageAssuranceStatus } = await actorOf(context, did!);
  return say(context, { did, ageAssuranceStatus }, `${did}: ${JSON.stringify(ageAssuranceStatus)}`);
};

/** Removes what is known about an actor's age, or shows what that would remove. */
export const runAgeClear: Command = async (context) => {
  const did = context.operands[0]!;
  const { ageAssuranceStatus } = await actorOf(context, did);
  const { dryRun } = context.settings;
  if (!dryRun) await askRouter(context, '/v1/age-assurance/clear', { did });
  const text = `${did}: ${dryRun ? 'would lose' : 'has lost'} ${JSON.stringify(ageAssuranceStatus)}`;
  return say(context, { did, before: ageAssuranceStatus, dryRun }, text);
};

/** Verifications of one actor that are counted before a decision about it. */
const issuedMax = 1_000;

async function decideOnVerifier(context: CommandContext, isTrusted: boolean): Promise<number> {
  const did = context.operands[0]!;
  const { dryRun } = context.settings;
  const { exists = false, trustedVerifier = false } = await actorOf(context, did);
  const request = { actorDid: did, limit: issuedMax };
  const issued = await callService(routerOf(context), 'GetVerificationsIssued', request);
  const count = listOf(issued, 'verifications').length;
  if (!dryRun) await askRouter(context, '/v1/verifiers', { did, isTrusted });
  const many = issued['cursor'] === undefined ? `${count}` : `at least ${count}`;
  const verb = dryRun ? 'would be' : 'are';
  const text = `${did}: its ${many} verifications ${verb} ${isTrusted ? 'shown' : 'hidden'}`;
  return say(context, { did, exists, wasTrusted: trustedVerifier, isTrusted, verifications: count, dryRun }, text);
}

/** Shows the verifications that an actor has issued and will issue. */
export const runVerifierTrust: Command = (context) => decideOnVerifier(context, true);
/** Shows none of an actor's verifications any more. */
export const runVerifierDistrust: Command = (context) => decideOnVerifier(context, false);

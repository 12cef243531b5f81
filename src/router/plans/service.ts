/** The plans of all methods. */
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { emptyAnswer, type Plan, planDefaults } from '../plan/plan.ts';
import { actorPlans } from './actors.ts';
import { feedPlans } from './feeds.ts';
import { graphPlans } from './graph.ts';
import { identityPlans } from './identity.ts';
import { interactionPlans } from './interactions.ts';
import { knownLikersPlan } from './known-likers.ts';
import { labelPlans } from './labels.ts';
import { listSubscriptionPlans } from './list-subscriptions.ts';
import { listPlans } from './lists.ts';
import { moderationPlans } from './moderation.ts';
import { mutePlans } from './mutes.ts';
import { notificationPlans } from './notifications.ts';
import { privateDataPlans } from './private-data.ts';
import { recordPlans } from './records.ts';
import { relationPlans } from './relations.ts';
import { searchPlans } from './search.ts';
import { siteStandardPlans } from './site-standard.ts';
import { sitemapPlans } from './sitemap.ts';
import { suggestionPlans } from './suggestions.ts';
import { verificationPlans } from './verifications.ts';

const ping: Plan = {
  method: 'Ping',
  timeoutMs: planDefaults.timeoutMs,
  isShared: false,
  run: () => emptyAnswer,
};

export const planByMethod: ReadonlyMap<string, Plan> = new Map<MethodName, Plan>(
  [
    ping,
    ...recordPlans,
    ...actorPlans,
    ...graphPlans,
    ...relationPlans,
    ...interactionPlans,
    ...feedPlans,
    ...notificationPlans,
    ...listPlans,
    ...listSubscriptionPlans,
    ...moderationPlans,
    ...mutePlans,
    ...privateDataPlans,
    ...identityPlans,
    ...suggestionPlans,
    ...siteStandardPlans,
    ...sitemapPlans,
    ...searchPlans,
    ...labelPlans,
    knownLikersPlan,
    ...verificationPlans,
  ].map((plan) => [plan.method, plan]),
);

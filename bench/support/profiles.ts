/** What a cache holds of a user: about 230 bytes of JSON. */
export type Profile = {
  id: number
  email: string
  firstName: string
  lastName: string
  plan: string
  isActive: boolean
  score: number
  tags: string[]
  lastSeen: string
  avatar: string
}

export const PROFILE_TTL_MS = 3_600_000

export function profileKey(id: number): string {
  return `user:${id}:profile`
}

/** The same values in every run. */
export function makeProfiles(count: number): Profile[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    email: `user${id}@example.com`,
    firstName: `First${id}`,
    lastName: `Last${id}`,
    plan: id % 7 === 0 ? 'business' : 'free',
    isActive: id % 3 !== 0,
    score: (id * 7919) % 1000,
    tags: ['reader', `cohort-${id % 50}`],
    lastSeen: new Date(1_700_000_000_000 + id * 1000).toISOString(),
    avatar: `https://cdn.example.com/a/${id}.png`,
  }))
}

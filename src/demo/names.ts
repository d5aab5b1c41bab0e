/** The demo's own place in a database and a Redis that may be somebody's: nothing outside of it is touched. */
export const DEMO_SCHEMA = 'prewarm_demo'
export const DEMO_PREFIX = 'prewarm-demo:'

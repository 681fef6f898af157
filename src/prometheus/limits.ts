/** Most `match[]` in one request. */
export const maxSelectors = 256
/** Most connections to one Prometheus at a time. */
export const maxSockets = 256

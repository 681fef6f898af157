import type { ServerResponse } from 'node:http'
import { printMetadata } from '../identity/resource-metadata.ts'
import type { ResourceMetadata } from '../identity/resource-metadata.ts'

/** Says who issues tokens for the gateway. It holds nothing that anybody asked Prometheus, so it is not recorded. */
export function writeMetadata(response: ServerResponse, metadata: ResourceMetadata): void {
  response.setHeader('content-type', 'application/json')
  response.setHeader('cache-control', 'max-age=3600')
  response.setHeader('x-content-type-options', 'nosniff')
  response.end(printMetadata(metadata))
}

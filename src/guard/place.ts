/** Where a pid is valid: a boot of a host and, in it, a pid namespace (a container has its own). */
import { readlinkSync } from 'node:fs'
import { isJsonObject } from '../core/json-object.ts'
import { readText, type Identity } from './process-table.ts'

/** This process's place. Where there is no /proc all places are one, and no identity is found. */
export function thisPlace(): string {
  return `${readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''} ${namespaceOf(process.pid) ?? ''}`
}

/** The pid namespace that a process is in; null when it is gone or not ours to look at. */
export function namespaceOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return null
  }
}

/** Whether a value that was read from a file is the identity of a process. */
export function isIdentity(value: unknown): value is Identity {
  return isJsonObject(value) && Number.isSafeInteger(value['pid']) && Number.isSafeInteger(value['startTime'])
}

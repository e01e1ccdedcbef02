// The failure reported for an object whose device does not exist, or is down. Pure.
import { isOurDevice } from '#/model/names.ts'
import { type Failure } from './status.ts'

/** The kernel takes no route over a device that is down. */
export function stoppedDevice(name: string): Failure {
  return {
    message: `device ${name} is down`,
    remedy: isOurDevice(name)
      ? `mend what is told of link/${name}; nothing else is to be done here`
      : `bring the device up where it is configured, or with: ip link set dev ${name} up`,
  }
}

/** Gives no remedy for a device of ours: the device's own problem says what to do, and this object is made once the device exists. */
export function missingDevice(name: string): Failure {
  return {
    message: `device ${name} is missing`,
    remedy: isOurDevice(name)
      ? `mend what is told of link/${name}; nothing else is to be done here`
      : `bring the device back ("ip link show dev ${name}"), or name another one where it is configured`,
  }
}

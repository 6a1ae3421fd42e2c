const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB', 'PB']

/** A size for people: `1.4 MB` (binary, as servers say it), exact below 1,024. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  if (unit === 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(value < 99.95 ? 1 : 0)} ${UNITS[unit]}`
}

/** 1234567 as `1,234,567`. */
export function formatCount(count: number): string {
  // Not toLocaleString: the first call of it takes 10 ms.
  return `${count}`.replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Unix seconds as `2024-05-01T12:00:00Z`; as they are where no calendar has them. */
export function formatTime(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? `${seconds}` : date.toISOString().replace('.000Z', 'Z')
}

/** Seconds as `5 s`, `4 min 5 s`, `36 h 0 min`, `26,176 d 12 h`: two units at most, the rest left out. */
export function formatDuration(seconds: number): string {
  const whole = Math.floor(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  const hours = Math.floor(whole / 3600)
  // Durations of backups are said in hours: 36h, 48h.
  if (hours < 72) return `${hours} h ${Math.floor((whole % 3600) / 60)} min`
  return `${formatCount(Math.floor(hours / 24))} d ${hours % 24} h`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

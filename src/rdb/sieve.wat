;; Tells entries of an RDB with which nothing whatever is wrong from those that are to be looked at closely. It passes the
;; usual forms, and of these only what it understands to the last byte; who refuses it is no judgement. sieve.ts says how
;; it is used.
;;
;; Memory:      0  names of the value at hand: 8,192 slots of a hash and the number of the value, 4 bytes each
;;          65536  for each of up to 1,024 entries: offset of the key (a double),
;;          73728  of the value,
;;          81920  of its end;
;;          90112  type (a byte)
;;          91136  fingerprints of the keys, two words each; zeros for what is no text
;;          99328  numbers of the entries that are not passed
;;         103424  powers of ten, as doubles, up to 10^22
;;         106496  output: what was compressed, up to 65,536 bytes
;;         176128  input: the entries' bytes, up to 1,048,576
;; Behind input and output there is room, since up to 32 bytes are read, or written, at once.
;;
;; What is passed, and checked:
;;
;;     keys, strings  text, integers, and what decompresses to just the size that it claims
;;     types 2, 4, 5  strings; no member or field twice, no score NaN
;;     type 11        width, count and size fit; members rise
;;     16, 17, 20     a listpack; no member or field twice, pairs, scores that are numbers and do not fall
;;     type 18        nodes of text that is not empty, or a listpack
;;     15, 19, 21     nodes with rising ids, entries with rising ids, all counts, what is said about ids; no groups
;;     a listpack     size, end byte, count, each element and its back-length, all up to the end byte
;;
;; and every value ends where its bytes do, and has elements, if it is no stream.
(module
  (memory (export "memory") 19)

  ;; Of fingerprints and of hashes: as long as nobody knows it nobody can choose names that have the same.
  (global $seed_first (mut i32) (i32.const 0))
  (global $seed_second (mut i32) (i32.const 0))
  (global $seed (mut i64) (i64.const 0))

  ;; What was read last: behind it; an integer, or text from $text to $text_end.
  (global $next (mut i32) (i32.const 0))
  (global $is_integer (mut i32) (i32.const 0))
  (global $integer (mut i64) (i64.const 0))
  (global $text (mut i32) (i32.const 0))
  (global $text_end (mut i32) (i32.const 0))

  ;; The number of the value at hand, and as many slots as it may use, less one.
  (global $value (mut i32) (i32.const 0))
  (global $mask (mut i32) (i32.const 0))

  ;; The score before: rounded, and exact as $last_digits / 10^$last_scale.
  (global $last (mut f64) (f64.const 0))
  (global $last_digits (mut i64) (i64.const 0))
  (global $last_scale (mut i32) (i32.const 0))

  ;; Of the listpack at hand: the next element, the end byte, how many elements are to come.
  (global $at (mut i32) (i32.const 0))
  (global $last_at (mut i32) (i32.const 0))
  (global $left (mut i32) (i32.const 0))

  ;; Of the stream at hand: how many entries it has, and deleted ones, that are still there; ids of the first that is not
  ;; deleted, and of the last.
  (global $entries (mut i64) (i64.const 0))
  (global $deleted (mut i64) (i64.const 0))
  (global $first_ms (mut i64) (i64.const 0))
  (global $first_seq (mut i64) (i64.const 0))
  (global $last_ms (mut i64) (i64.const 0))
  (global $last_seq (mut i64) (i64.const 0))

  (func (export "begin") (param $first i32) (param $second i32)
    (local $power f64) (local $at i32)
    (global.set $seed_first (local.get $first))
    (global.set $seed_second (local.get $second))
    (global.set $seed (i64.or
      (i64.shl (i64.extend_i32_u (local.get $first)) (i64.const 32))
      (i64.extend_i32_u (local.get $second))))
    (local.set $power (f64.const 1))
    (loop $next
      (f64.store offset=103424 (local.get $at) (local.get $power))
      (local.set $power (f64.mul (local.get $power) (f64.const 10)))
      (br_if $next (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 8)))
        (i32.const 184)))))

  ;; ---- Strings of an RDB

  ;; The number in the length encoding at $p; -1, the largest of all, where it is in none of the usual forms.
  (func $length (param $p i32) (result i32)
    (local $first i32)
    (local.set $first (i32.load8_u (local.get $p)))
    (if (i32.lt_u (local.get $first) (i32.const 0x40)) (then
      (global.set $next (i32.add (local.get $p) (i32.const 1)))
      (return (local.get $first))))
    (if (i32.lt_u (local.get $first) (i32.const 0x80)) (then
      (global.set $next (i32.add (local.get $p) (i32.const 2)))
      (return (i32.or
        (i32.shl (i32.and (local.get $first) (i32.const 0x3f)) (i32.const 8))
        (i32.load8_u offset=1 (local.get $p))))))
    (if (i32.ne (local.get $first) (i32.const 0x80)) (then (return (i32.const -1))))
    (global.set $next (i32.add (local.get $p) (i32.const 5)))
    (i32.or
      (i32.or
        (i32.shl (i32.load8_u offset=1 (local.get $p)) (i32.const 24))
        (i32.shl (i32.load8_u offset=2 (local.get $p)) (i32.const 16)))
      (i32.or
        (i32.shl (i32.load8_u offset=3 (local.get $p)) (i32.const 8))
        (i32.load8_u offset=4 (local.get $p)))))

  ;; The same of up to 64 bits. What is none seems to end behind the input.
  (func $length64 (param $p i32) (result i64)
    (local $length i32)
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x81)) (then
      (global.set $next (i32.add (local.get $p) (i32.const 9)))
      (return (call $big_endian (i32.add (local.get $p) (i32.const 1))))))
    (if (i32.gt_u (i32.load8_u (local.get $p)) (i32.const 0x80)) (then
      (global.set $next (i32.const 1224705))
      (return (i64.const 0))))
    (i64.extend_i32_u (call $length (local.get $p))))

  (func $big_endian (param $p i32) (result i64)
    (local $word i64)
    (local.set $word (i64.load align=1 (local.get $p)))
    (local.set $word (i64.or
      (i64.shl (i64.and (local.get $word) (i64.const 0x00ff00ff00ff00ff)) (i64.const 8))
      (i64.and (i64.shr_u (local.get $word) (i64.const 8)) (i64.const 0x00ff00ff00ff00ff))))
    (local.set $word (i64.or
      (i64.shl (i64.and (local.get $word) (i64.const 0x0000ffff0000ffff)) (i64.const 16))
      (i64.and (i64.shr_u (local.get $word) (i64.const 16)) (i64.const 0x0000ffff0000ffff))))
    (i64.rotl (local.get $word) (i64.const 32)))

  ;; Takes the string at $p as integer or text. False when it does not end before $end, or is in none of the forms.
  (func $string (param $p i32) (param $end i32) (result i32)
    (local $first i32) (local $size i32)
    (if (i32.ge_u (local.get $p) (local.get $end)) (then (return (i32.const 0))))
    (local.set $first (i32.load8_u (local.get $p)))
    (if (i32.lt_u (local.get $first) (i32.const 0xc0)) (then
      (local.set $size (call $length (local.get $p)))
      (global.set $is_integer (i32.const 0))
      (global.set $text (global.get $next))
      (if (i32.gt_u (global.get $next) (local.get $end)) (then (return (i32.const 0))))
      (if (i32.gt_u (local.get $size) (i32.sub (local.get $end) (global.get $next))) (then
        (return (i32.const 0))))
      (global.set $next (i32.add (global.get $next) (local.get $size)))
      (global.set $text_end (global.get $next))
      (return (i32.const 1))))
    (if (i32.eq (local.get $first) (i32.const 0xc3)) (then
      (return (call $compressed (i32.add (local.get $p) (i32.const 1)) (local.get $end)))))
    (if (i32.gt_u (local.get $first) (i32.const 0xc2)) (then (return (i32.const 0))))
    (global.set $is_integer (i32.const 1))
    (if (i32.eq (local.get $first) (i32.const 0xc0)) (then
      (global.set $integer (i64.load8_s offset=1 (local.get $p)))
      (global.set $next (i32.add (local.get $p) (i32.const 2))))
    (else (if (i32.eq (local.get $first) (i32.const 0xc1)) (then
      (global.set $integer (i64.load16_s offset=1 align=1 (local.get $p)))
      (global.set $next (i32.add (local.get $p) (i32.const 3))))
    (else
      (global.set $integer (i64.load32_s offset=1 align=1 (local.get $p)))
      (global.set $next (i32.add (local.get $p) (i32.const 5)))))))
    (i32.le_u (global.get $next) (local.get $end)))

  ;; The same of a compressed one: its two sizes stand at $p. The text is in the output then.
  (func $compressed (param $p i32) (param $end i32) (result i32)
    (local $packed i32) (local $size i32)
    (local.set $packed (call $length (local.get $p)))
    (if (i32.eq (local.get $packed) (i32.const -1)) (then (return (i32.const 0))))
    (local.set $size (call $length (global.get $next)))
    (if (i32.gt_u (local.get $size) (i32.const 65536)) (then (return (i32.const 0))))
    (if (i32.gt_u (global.get $next) (local.get $end)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $packed) (i32.sub (local.get $end) (global.get $next))) (then
      (return (i32.const 0))))
    (local.set $p (global.get $next))
    (global.set $next (i32.add (local.get $p) (local.get $packed)))
    (global.set $is_integer (i32.const 0))
    (global.set $text (i32.const 106496))
    (global.set $text_end (i32.add (i32.const 106496) (local.get $size)))
    (call $decompress (local.get $p) (global.get $next) (global.get $text_end)))

  ;; Whether what stands from $p to $end decompresses to just what the output has up to $most (lzf.ts has the format).
  (func $decompress (param $p i32) (param $end i32) (param $most i32) (result i32)
    (local $w i32) (local $control i32) (local $to i32) (local $from i32)
    (local.set $w (i32.const 106496))
    (block $bad (loop $item
      (if (i32.ge_u (local.get $p) (local.get $end)) (then
        (br_if $bad (i32.gt_u (local.get $p) (local.get $end)))
        (return (i32.eq (local.get $w) (local.get $most)))))
      (local.set $control (i32.load8_u (local.get $p)))
      (if (i32.lt_u (local.get $control) (i32.const 32)) (then
        (local.set $to (i32.add (local.get $w) (i32.add (local.get $control) (i32.const 1))))
        (br_if $bad (i32.gt_u (local.get $to) (local.get $most)))
        (v128.store align=1 (local.get $w) (v128.load offset=1 align=1 (local.get $p)))
        (v128.store offset=16 align=1 (local.get $w) (v128.load offset=17 align=1 (local.get $p)))
        (local.set $w (local.get $to))
        (local.set $p (i32.add (local.get $p) (i32.add (local.get $control) (i32.const 2))))
        (br $item)))
      (local.set $to (i32.add (local.get $w) (i32.add
        (i32.shr_u (local.get $control) (i32.const 5))
        (i32.const 2))))
      (if (i32.ge_u (local.get $control) (i32.const 0xe0)) (then
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (local.set $to (i32.add (local.get $to) (i32.load8_u (local.get $p))))))
      (br_if $bad (i32.gt_u (local.get $to) (local.get $most)))
      (local.set $from (i32.sub (i32.sub (local.get $w) (i32.const 1)) (i32.or
        (i32.shl (i32.and (local.get $control) (i32.const 31)) (i32.const 8))
        (i32.load8_u offset=1 (local.get $p)))))
      (br_if $bad (i32.lt_u (local.get $from) (i32.const 106496)))
      (local.set $p (i32.add (local.get $p) (i32.const 2)))
      ;; 8 bytes at once overlap when they are nearer than that.
      (if (i32.lt_u (i32.sub (local.get $w) (local.get $from)) (i32.const 8))
        (then (loop $one
          (i32.store8 (local.get $w) (i32.load8_u (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (br_if $one (i32.lt_u
            (local.tee $w (i32.add (local.get $w) (i32.const 1)))
            (local.get $to)))))
        (else (loop $eight
          (i64.store align=1 (local.get $w) (i64.load align=1 (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 8)))
          (br_if $eight (i32.lt_u
            (local.tee $w (i32.add (local.get $w) (i32.const 8)))
            (local.get $to))))))
      (local.set $w (local.get $to))
      (br $item)))
    (i32.const 0))

  ;; ---- Names: members and fields, of which none may be there twice

  ;; Makes room for so many. False when they are too many.
  (func $begin_names (param $count i32) (result i32)
    (if (i32.gt_u (local.get $count) (i32.const 4095)) (then (return (i32.const 0))))
    ;; Twice as many slots as names, and more.
    (global.set $mask (i32.sub
      (i32.shl (i32.const 1) (i32.sub (i32.const 33) (i32.clz (local.get $count))))
      (i32.const 1)))
    (global.set $value (i32.add (global.get $value) (i32.const 1)))
    ;; What former values left would look like names of this one.
    (if (i32.eqz (global.get $value)) (then
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))
      (global.set $value (i32.const 1))))
    (i32.const 1))

  ;; Whether what was read last is a new name. A false no is possible, and rare.
  (func $is_new (result i32)
    (local $hash i32) (local $slot i32) (local $named i64) (local $there i64)
    (if (i32.eqz (global.get $is_integer)) (then (call $take_digits)))
    (local.set $hash
      (if (result i32) (global.get $is_integer)
        (then (call $hash_integer (global.get $integer)))
        (else (call $hash_text (global.get $text) (global.get $text_end)))))
    (local.set $named (i64.or
      (i64.shl (i64.extend_i32_u (global.get $value)) (i64.const 32))
      (i64.extend_i32_u (local.get $hash))))
    (loop $probe
      (local.set $slot (i32.shl (i32.and (local.get $hash) (global.get $mask)) (i32.const 3)))
      (local.set $there (i64.load (local.get $slot)))
      (if (i64.eq (local.get $there) (local.get $named)) (then (return (i32.const 0))))
      (local.set $hash (i32.add (local.get $hash) (i32.const 1)))
      (br_if $probe (i64.eq
        (i64.shr_u (local.get $there) (i64.const 32))
        (i64.extend_i32_u (global.get $value)))))
    (i64.store (local.get $slot) (local.get $named))
    (i32.const 1))

  (func $hash_integer (param $integer i64) (result i32)
    (local.set $integer (i64.mul
      (i64.xor (local.get $integer) (global.get $seed))
      (i64.const 0x9e3779b97f4a7c15)))
    (local.set $integer (i64.mul
      (i64.xor (local.get $integer) (i64.shr_u (local.get $integer) (i64.const 32)))
      (i64.const 0xd6e8feb86659fd93)))
    (i32.wrap_i64 (i64.shr_u (local.get $integer) (i64.const 32))))

  (func $hash_text (param $p i32) (param $end i32) (result i32)
    (local $hash i64) (local $left i32)
    (local.set $left (i32.sub (local.get $end) (local.get $p)))
    (local.set $hash (i64.xor (global.get $seed) (i64.extend_i32_u (local.get $left))))
    (block $last (loop $eight
      (br_if $last (i32.lt_u (local.get $left) (i32.const 8)))
      (local.set $hash (i64.mul
        (i64.xor (local.get $hash) (i64.load align=1 (local.get $p)))
        (i64.const 0x9e3779b97f4a7c15)))
      (local.set $hash (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32))))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (local.set $left (i32.sub (local.get $left) (i32.const 8)))
      (br $eight)))
    (call $hash_integer (i64.xor (local.get $hash) (i64.and
      (i64.load align=1 (local.get $p))
      (i64.sub
        (i64.shl (i64.const 1) (i64.extend_i32_u (i32.shl (local.get $left) (i32.const 3))))
        (i64.const 1))))))

  ;; Makes text that is just the digits of an integer of 64 bits that integer: the same name may stand in both forms.
  (func $take_digits
    (local $p i32) (local $size i32) (local $negative i32) (local $digit i32) (local $value i64)
    (local.set $p (global.get $text))
    (local.set $negative (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2d)))
    (local.set $p (i32.add (local.get $p) (local.get $negative)))
    (local.set $size (i32.sub (global.get $text_end) (local.get $p)))
    ;; Text may be empty: then $size is 0, or -1, the largest of all.
    (if (i32.gt_u (i32.sub (local.get $size) (i32.const 1)) (i32.const 18)) (then (return)))
    (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x30)) (then
      (if (i32.or (local.get $negative) (i32.gt_u (local.get $size) (i32.const 1))) (then (return)))))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $p)) (i32.const 0x30)))
      (if (i32.gt_u (local.get $digit) (i32.const 9)) (then (return)))
      (local.set $value (i64.add
        (i64.mul (local.get $value) (i64.const 10))
        (i64.extend_i32_u (local.get $digit))))
      (br_if $next (i32.lt_u
        (local.tee $p (i32.add (local.get $p) (i32.const 1)))
        (global.get $text_end))))
    ;; 19 digits fit without a sign, but may be more than fits with it.
    (if (i64.gt_u
          (local.get $value)
          (i64.add (i64.const 0x7fffffffffffffff) (i64.extend_i32_u (local.get $negative))))
      (then (return)))
    (global.set $is_integer (i32.const 1))
    (global.set $integer
      (select (i64.sub (i64.const 0) (local.get $value)) (local.get $value) (local.get $negative))))

  ;; ---- Scores

  (func $begin_scores
    (global.set $last (f64.const -inf))
    (global.set $last_scale (i32.const -1)))

  ;; Whether what was read last is a number, and none below the one before. Only plain digits, with a point and a sign,
  ;; are read, and only those that are exact as $digits / 10^$scale.
  (func $rises (result i32)
    (local $digits i64) (local $scale i32) (local $score f64)
    (local $p i32) (local $end i32) (local $point i32) (local $digit i32) (local $negative i32)
    (if (global.get $is_integer)
      (then (local.set $digits (global.get $integer)))
      (else
        (local.set $p (global.get $text))
        (local.set $end (global.get $text_end))
        (if (i32.gt_u (i32.sub (local.get $end) (local.get $p)) (i32.const 32)) (then (return (i32.const 0))))
        (local.set $negative (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2d)))
        (local.set $p (i32.add (local.get $p) (local.get $negative)))
        ;; Before the first digit there is no point, behind the last one neither.
        (if (i32.ge_u (local.get $p) (local.get $end)) (then (return (i32.const 0))))
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2e)) (then (return (i32.const 0))))
        (loop $next
          (local.set $digit (i32.sub (i32.load8_u (local.get $p)) (i32.const 0x30)))
          (local.set $p (i32.add (local.get $p) (i32.const 1)))
          (if (i32.le_u (local.get $digit) (i32.const 9))
            (then
              (if (i64.gt_u (local.get $digits) (i64.const 99999999999999999)) (then (return (i32.const 0))))
              (local.set $digits (i64.add
                (i64.mul (local.get $digits) (i64.const 10))
                (i64.extend_i32_u (local.get $digit)))))
            (else
              (if (i32.or
                    (i32.ne (local.get $digit) (i32.const -2))
                    (i32.or (local.get $point) (i32.eq (local.get $p) (local.get $end))))
                (then (return (i32.const 0))))
              (local.set $point (local.get $p))))
          (br_if $next (i32.lt_u (local.get $p) (local.get $end))))
        (if (local.get $point) (then
          (local.set $scale (i32.sub (local.get $end) (local.get $point)))
          (if (i32.gt_u (local.get $scale) (i32.const 22)) (then (return (i32.const 0))))))
        (if (local.get $negative) (then (local.set $digits (i64.sub (i64.const 0) (local.get $digits)))))))
    (local.set $score (f64.div
      (f64.convert_i64_s (local.get $digits))
      (f64.load offset=103424 (i32.shl (local.get $scale) (i32.const 3)))))
    ;; Of one scale they compare exactly; others must be further apart than they were rounded.
    (if (i32.eqz (i32.and
          (i32.eq (local.get $scale) (global.get $last_scale))
          (i64.ge_s (local.get $digits) (global.get $last_digits)))) (then
      (if (i32.eqz (f64.ge
            (f64.sub (local.get $score) (global.get $last))
            (f64.mul
              (f64.add (f64.abs (local.get $score)) (f64.abs (global.get $last)))
              (f64.const 0x1p-48)))) (then (return (i32.const 0))))))
    (global.set $last (local.get $score))
    (global.set $last_digits (local.get $digits))
    (global.set $last_scale (local.get $scale))
    (i32.const 1))

  ;; ---- Packed strings (encodings/listpack.ts and intset.ts have the formats)

  ;; Takes the element of a listpack at $p as integer or text. False unless it is sound, with its back-length, and ends
  ;; before $last. Back-lengths of three bytes and more are not read.
  (func $element (param $p i32) (param $last i32) (result i32)
    (local $first i32) (local $size i32)
    (local.set $first (i32.load8_u (local.get $p)))
    (global.set $is_integer (i32.const 1))
    (block $sized
      (if (i32.lt_u (local.get $first) (i32.const 0x80)) (then
        (global.set $integer (i64.extend_i32_u (local.get $first)))
        (local.set $size (i32.const 1))
        (br $sized)))
      (if (i32.lt_u (local.get $first) (i32.const 0xc0)) (then
        (global.set $is_integer (i32.const 0))
        (global.set $text (i32.add (local.get $p) (i32.const 1)))
        (local.set $size (i32.add (i32.and (local.get $first) (i32.const 0x3f)) (i32.const 1)))
        (br $sized)))
      (if (i32.lt_u (local.get $first) (i32.const 0xe0)) (then
        ;; Of 13 bits the first is the sign.
        (global.set $integer (i64.extend_i32_s (i32.shr_s
          (i32.shl
            (i32.or (i32.shl (local.get $first) (i32.const 8)) (i32.load8_u offset=1 (local.get $p)))
            (i32.const 19))
          (i32.const 19))))
        (local.set $size (i32.const 2))
        (br $sized)))
      (if (i32.le_u (local.get $first) (i32.const 0xf0)) (then
        (global.set $is_integer (i32.const 0))
        (if (i32.lt_u (local.get $first) (i32.const 0xf0))
          (then
            (global.set $text (i32.add (local.get $p) (i32.const 2)))
            (local.set $size (i32.or
              (i32.shl (i32.and (local.get $first) (i32.const 0x0f)) (i32.const 8))
              (i32.load8_u offset=1 (local.get $p)))))
          (else
            (global.set $text (i32.add (local.get $p) (i32.const 5)))
            (local.set $size (i32.load offset=1 align=1 (local.get $p)))
            (if (i32.gt_u (local.get $size) (i32.const 0x3fff)) (then (return (i32.const 0))))))
        (local.set $size (i32.add (local.get $size) (i32.sub (global.get $text) (local.get $p))))
        (br $sized)))
      (if (i32.eq (local.get $first) (i32.const 0xf1)) (then
        (global.set $integer (i64.load16_s offset=1 align=1 (local.get $p)))
        (local.set $size (i32.const 3))
        (br $sized)))
      (if (i32.eq (local.get $first) (i32.const 0xf2)) (then
        (global.set $integer (i64.extend_i32_s (i32.shr_s
          (i32.load align=1 (local.get $p))
          (i32.const 8))))
        (local.set $size (i32.const 4))
        (br $sized)))
      (if (i32.eq (local.get $first) (i32.const 0xf3)) (then
        (global.set $integer (i64.load32_s offset=1 align=1 (local.get $p)))
        (local.set $size (i32.const 5))
        (br $sized)))
      (if (i32.eq (local.get $first) (i32.const 0xf4)) (then
        (global.set $integer (i64.load offset=1 align=1 (local.get $p)))
        (local.set $size (i32.const 9))
        (br $sized)))
      (return (i32.const 0)))
    (local.set $p (i32.add (local.get $p) (local.get $size)))
    (if (i32.ge_u (local.get $p) (local.get $last)) (then (return (i32.const 0))))
    (global.set $text_end (local.get $p))
    (if (i32.lt_u (local.get $size) (i32.const 0x80)) (then
      (global.set $next (i32.add (local.get $p) (i32.const 1)))
      (return (i32.eq (i32.load8_u (local.get $p)) (local.get $size)))))
    (if (i32.ge_u (local.get $size) (i32.const 0x3fff)) (then (return (i32.const 0))))
    (global.set $next (i32.add (local.get $p) (i32.const 2)))
    (if (i32.gt_u (global.get $next) (local.get $last)) (then (return (i32.const 0))))
    (i32.eq
      (i32.load16_u align=1 (local.get $p))
      (i32.or
        (i32.shr_u (local.get $size) (i32.const 7))
        (i32.shl
          (i32.or (i32.and (local.get $size) (i32.const 0x7f)) (i32.const 0x80))
          (i32.const 8)))))

  ;; Begins with the listpack that is the text that was read last. False unless its header is sound, and it has elements.
  (func $open (result i32)
    (if (global.get $is_integer) (then (return (i32.const 0))))
    (global.set $at (i32.add (global.get $text) (i32.const 6)))
    (global.set $last_at (i32.sub (global.get $text_end) (i32.const 1)))
    (if (i32.gt_u (global.get $at) (global.get $last_at)) (then (return (i32.const 0))))
    (if (i32.ne
          (i32.load align=1 (global.get $text))
          (i32.sub (global.get $text_end) (global.get $text))) (then (return (i32.const 0))))
    (if (i32.ne (i32.load8_u (global.get $last_at)) (i32.const 0xff)) (then (return (i32.const 0))))
    (global.set $left (i32.load16_u offset=4 align=1 (global.get $text)))
    ;; The largest means that it is not said.
    (i32.lt_u (i32.sub (global.get $left) (i32.const 1)) (i32.const 0xfffe)))

  ;; Takes its next element.
  (func $pull (result i32)
    (if (i32.eqz (global.get $left)) (then (return (i32.const 0))))
    (if (i32.eqz (call $element (global.get $at) (global.get $last_at))) (then (return (i32.const 0))))
    (global.set $at (global.get $next))
    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (i32.const 1))

  ;; The same when it is an integer, and not above $most as an unsigned one.
  (func $pull_integer (param $most i64) (result i32)
    (if (i32.eqz (call $pull)) (then (return (i32.const 0))))
    (i32.and (global.get $is_integer) (i64.le_u (global.get $integer) (local.get $most))))

  ;; Whether the text that was read last is a listpack with elements. Of each $unit elements, 1 or 2, the first is a name
  ;; when $names is set, the second a score when $scores is.
  (func $listpack (param $unit i32) (param $names i32) (param $scores i32) (result i32)
    (local $p i32) (local $last i32) (local $left i32)
    (if (i32.eqz (call $open)) (then (return (i32.const 0))))
    (local.set $p (global.get $at))
    (local.set $last (global.get $last_at))
    (local.set $left (global.get $left))
    (if (i32.rem_u (local.get $left) (local.get $unit)) (then (return (i32.const 0))))
    (if (local.get $names) (then
      (if (i32.eqz (call $begin_names (local.get $left))) (then (return (i32.const 0))))))
    (call $begin_scores)
    (loop $next
      (if (i32.eqz (call $element (local.get $p) (local.get $last))) (then (return (i32.const 0))))
      (local.set $p (global.get $next))
      (if (local.get $names) (then
        (if (i32.eqz (call $is_new)) (then (return (i32.const 0))))))
      (if (i32.eq (local.get $unit) (i32.const 2)) (then
        (if (i32.eqz (call $element (local.get $p) (local.get $last))) (then (return (i32.const 0))))
        (local.set $p (global.get $next))
        (if (local.get $scores) (then
          (if (i32.eqz (call $rises)) (then (return (i32.const 0))))))))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (local.get $unit)))))
    (i32.eq (local.get $p) (local.get $last)))

  ;; Whether the text that was read last is an intset.
  (func $intset (result i32)
    (local $p i32) (local $width i32) (local $count i32) (local $member i64) (local $former i64)
    (if (global.get $is_integer) (then (return (i32.const 0))))
    (local.set $p (i32.add (global.get $text) (i32.const 8)))
    (if (i32.ge_u (local.get $p) (global.get $text_end)) (then (return (i32.const 0))))
    (local.set $width (i32.load align=1 (global.get $text)))
    (local.set $count (i32.load offset=4 align=1 (global.get $text)))
    (if (i32.gt_u (local.get $count) (i32.const 0xfffff)) (then (return (i32.const 0))))
    (if (i32.and
          (i32.ne (local.get $width) (i32.const 2))
          (i32.and (i32.ne (local.get $width) (i32.const 4)) (i32.ne (local.get $width) (i32.const 8))))
      (then (return (i32.const 0))))
    (if (i32.ne
          (i32.sub (global.get $text_end) (local.get $p))
          (i32.mul (local.get $width) (local.get $count))) (then (return (i32.const 0))))
    (local.set $former (call $member (local.get $p) (local.get $width)))
    (loop $next
      (local.set $p (i32.add (local.get $p) (local.get $width)))
      (if (i32.ge_u (local.get $p) (global.get $text_end)) (then (return (i32.const 1))))
      (local.set $member (call $member (local.get $p) (local.get $width)))
      (if (i64.le_s (local.get $member) (local.get $former)) (then (return (i32.const 0))))
      (local.set $former (local.get $member))
      (br $next))
    (unreachable))

  (func $member (param $p i32) (param $width i32) (result i64)
    (if (i32.eq (local.get $width) (i32.const 2)) (then (return (i64.load16_s align=1 (local.get $p)))))
    (if (i32.eq (local.get $width) (i32.const 4)) (then (return (i64.load32_s align=1 (local.get $p)))))
    (i64.load align=1 (local.get $p)))

  ;; ---- Values

  ;; A string that is packed, or compressed.
  (func $single (param $type i32) (param $p i32) (param $end i32) (result i32)
    (if (i32.eqz (call $string (local.get $p) (local.get $end))) (then (return (i32.const 0))))
    (if (i32.ne (global.get $next) (local.get $end)) (then (return (i32.const 0))))
    (if (i32.eqz (local.get $type)) (then (return (i32.const 1))))
    (if (i32.eq (local.get $type) (i32.const 11)) (then (return (call $intset))))
    (if (i32.eq (local.get $type) (i32.const 20)) (then
      (return (call $listpack (i32.const 1) (i32.const 1) (i32.const 0)))))
    (call $listpack (i32.const 2) (i32.const 1) (i32.eq (local.get $type) (i32.const 17))))

  ;; Members, fields or members with scores, one by one.
  (func $plain (param $type i32) (param $p i32) (param $end i32) (result i32)
    (local $left i32)
    (local.set $left (call $length (local.get $p)))
    (if (i32.eqz (local.get $left)) (then (return (i32.const 0))))
    (if (i32.eqz (call $begin_names (local.get $left))) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eqz (call $string (global.get $next) (local.get $end))) (then (return (i32.const 0))))
      (if (i32.eqz (call $is_new)) (then (return (i32.const 0))))
      (if (i32.eq (local.get $type) (i32.const 4)) (then
        (if (i32.eqz (call $string (global.get $next) (local.get $end))) (then (return (i32.const 0))))))
      (if (i32.eq (local.get $type) (i32.const 5)) (then
        (local.set $p (global.get $next))
        (global.set $next (i32.add (local.get $p) (i32.const 8)))
        (if (i32.gt_u (global.get $next) (local.get $end)) (then (return (i32.const 0))))
        ;; NaN
        (if (i64.gt_u
              (i64.and (i64.load align=1 (local.get $p)) (i64.const 0x7fffffffffffffff))
              (i64.const 0x7ff0000000000000)) (then (return (i32.const 0))))))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.eq (global.get $next) (local.get $end)))

  (func $quicklist (param $p i32) (param $end i32) (result i32)
    (local $left i32) (local $node i32) (local $container i32)
    (local.set $left (call $length (local.get $p)))
    (if (i32.gt_u (i32.sub (local.get $left) (i32.const 1)) (i32.const 0xfffff)) (then
      (return (i32.const 0))))
    (local.set $node (global.get $next))
    (loop $next
      (if (i32.ge_u (local.get $node) (local.get $end)) (then (return (i32.const 0))))
      (local.set $container (i32.load8_u (local.get $node)))
      (if (i32.eqz (call $string (i32.add (local.get $node) (i32.const 1)) (local.get $end))) (then
        (return (i32.const 0))))
      (local.set $node (global.get $next))
      (if (i32.eq (local.get $container) (i32.const 2))
        (then
          (if (i32.eqz (call $listpack (i32.const 1) (i32.const 0) (i32.const 0))) (then
            (return (i32.const 0)))))
        (else
          (if (i32.ne (local.get $container) (i32.const 1)) (then (return (i32.const 0))))
          (if (i32.eqz (i32.or
                (global.get $is_integer)
                (i32.lt_u (global.get $text) (global.get $text_end)))) (then (return (i32.const 0))))))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.eq (local.get $node) (local.get $end)))

  ;; ---- Streams (encodings/stream.ts and stream-node.ts have the formats)

  (func $stream (param $type i32) (param $p i32) (param $end i32) (result i32)
    (local $nodes i32) (local $ms i64) (local $seq i64)
    (global.set $entries (i64.const 0))
    (global.set $deleted (i64.const 0))
    (global.set $last_ms (i64.const 0))
    (global.set $last_seq (i64.const 0))
    (local.set $nodes (call $length (local.get $p)))
    (if (i32.gt_u (local.get $nodes) (i32.const 0xfffff)) (then (return (i32.const 0))))
    (local.set $p (global.get $next))
    (block $done (loop $node
      (br_if $done (i32.eqz (local.get $nodes)))
      (if (i32.eqz (call $string (local.get $p) (local.get $end))) (then (return (i32.const 0))))
      (if (global.get $is_integer) (then (return (i32.const 0))))
      (if (i32.ne (i32.sub (global.get $text_end) (global.get $text)) (i32.const 16)) (then
        (return (i32.const 0))))
      (local.set $ms (call $big_endian (global.get $text)))
      (local.set $seq (call $big_endian (i32.add (global.get $text) (i32.const 8))))
      (if (i32.eqz (call $string (global.get $next) (local.get $end))) (then (return (i32.const 0))))
      (local.set $p (global.get $next))
      (if (i32.eqz (call $node (local.get $ms) (local.get $seq))) (then (return (i32.const 0))))
      (local.set $nodes (i32.sub (local.get $nodes) (i32.const 1)))
      (br $node)))
    (if (i64.ne (call $length64 (local.get $p)) (global.get $entries)) (then (return (i32.const 0))))
    (local.set $ms (call $length64 (global.get $next)))
    (local.set $seq (call $length64 (global.get $next)))
    (if (call $is_before (local.get $ms) (local.get $seq) (global.get $last_ms) (global.get $last_seq)) (then
      (return (i32.const 0))))
    (if (i32.ne (local.get $type) (i32.const 15)) (then
      (if (i32.eqz (call $later_state (local.get $ms) (local.get $seq))) (then (return (i32.const 0))))))
    (if (call $length (global.get $next)) (then (return (i32.const 0))))
    (i32.eq (global.get $next) (local.get $end)))

  ;; What is said since version 2: first id, highest deleted one, which is not above the last one, and entries added.
  (func $later_state (param $last_ms i64) (param $last_seq i64) (result i32)
    (local $ms i64) (local $seq i64)
    (local.set $ms (call $length64 (global.get $next)))
    (local.set $seq (call $length64 (global.get $next)))
    (if (i64.ne (global.get $entries) (i64.const 0)) (then
      (if (i64.ne (local.get $ms) (global.get $first_ms)) (then (return (i32.const 0))))
      (if (i64.ne (local.get $seq) (global.get $first_seq)) (then (return (i32.const 0))))))
    (local.set $ms (call $length64 (global.get $next)))
    (local.set $seq (call $length64 (global.get $next)))
    (if (call $is_before (local.get $last_ms) (local.get $last_seq) (local.get $ms) (local.get $seq)) (then
      (return (i32.const 0))))
    (i64.ge_u (call $length64 (global.get $next)) (global.get $entries)))

  (func $is_before (param $ms i64) (param $seq i64) (param $other_ms i64) (param $other_seq i64) (result i32)
    (i32.or
      (i64.lt_u (local.get $ms) (local.get $other_ms))
      (i32.and
        (i64.eq (local.get $ms) (local.get $other_ms))
        (i64.lt_u (local.get $seq) (local.get $other_seq)))))

  ;; Whether the text that was read last is the node $ms-$seq: its id and those of its entries follow all before.
  (func $node (param $ms i64) (param $seq i64) (result i32)
    (local $live i64) (local $deleted i64) (local $names i32)
    (if (i32.eqz (call $open)) (then (return (i32.const 0))))
    (if (call $met) (then
      (if (i32.eqz (call $is_before
            (global.get $last_ms) (global.get $last_seq) (local.get $ms) (local.get $seq)))
        (then (return (i32.const 0))))))
    (if (i32.eqz (call $pull_integer (i64.const 0xffff))) (then (return (i32.const 0))))
    (local.set $live (i64.add (global.get $entries) (global.get $integer)))
    (if (i32.eqz (call $pull_integer (i64.const 0xffff))) (then (return (i32.const 0))))
    (local.set $deleted (i64.add (global.get $deleted) (global.get $integer)))
    (if (i32.eqz (call $pull_integer (i64.const 0xffff))) (then (return (i32.const 0))))
    (local.set $names (i32.wrap_i64 (global.get $integer)))
    (if (i32.eqz (call $pass (local.get $names))) (then (return (i32.const 0))))
    (if (i32.eqz (call $pull_integer (i64.const 0))) (then (return (i32.const 0))))
    ;; A node without entries is not passed.
    (loop $next
      (if (i32.eqz (call $entry (local.get $ms) (local.get $seq) (local.get $names))) (then
        (return (i32.const 0))))
      (br_if $next (global.get $left)))
    (i32.and
      (i32.eq (global.get $at) (global.get $last_at))
      (i32.and
        (i64.eq (global.get $entries) (local.get $live))
        (i64.eq (global.get $deleted) (local.get $deleted)))))

  ;; Whether there were entries before.
  (func $met (result i32)
    (i64.ne (i64.add (global.get $entries) (global.get $deleted)) (i64.const 0)))

  ;; Takes so many elements of the listpack.
  (func $pass (param $count i32) (result i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (if (i32.eqz (call $pull)) (then (return (i32.const 0))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (i32.const 1))

  ;; Takes an entry of the node $ms-$seq, whose entries share so many names.
  (func $entry (param $ms i64) (param $seq i64) (param $names i32) (result i32)
    (local $flags i64) (local $entry_ms i64) (local $entry_seq i64) (local $before i32) (local $elements i32)
    (if (i32.eqz (call $pull_integer (i64.const 3))) (then (return (i32.const 0))))
    (local.set $flags (global.get $integer))
    (if (i32.eqz (call $pull_integer (i64.const -1))) (then (return (i32.const 0))))
    (local.set $entry_ms (i64.add (local.get $ms) (global.get $integer)))
    (if (i32.eqz (call $pull_integer (i64.const -1))) (then (return (i32.const 0))))
    (local.set $entry_seq (i64.add (local.get $seq) (global.get $integer)))
    (if (call $is_before (local.get $entry_ms) (local.get $entry_seq) (local.get $ms) (local.get $seq))
      (then (return (i32.const 0))))
    (if (call $met) (then
      (if (i32.eqz (call $is_before
            (global.get $last_ms) (global.get $last_seq) (local.get $entry_ms) (local.get $entry_seq)))
        (then (return (i32.const 0))))))
    (global.set $last_ms (local.get $entry_ms))
    (global.set $last_seq (local.get $entry_seq))
    ;; Flag 1: deleted.
    (if (i64.eqz (i64.and (local.get $flags) (i64.const 1)))
      (then
        (if (i64.eqz (global.get $entries)) (then
          (global.set $first_ms (local.get $entry_ms))
          (global.set $first_seq (local.get $entry_seq))))
        (global.set $entries (i64.add (global.get $entries) (i64.const 1))))
      (else (global.set $deleted (i64.add (global.get $deleted) (i64.const 1)))))
    ;; Flag 2: only values, for the names that are shared. Else how many fields, and each with its name.
    (local.set $before (global.get $left))
    (if (i64.eqz (i64.and (local.get $flags) (i64.const 2))) (then
      (if (i32.eqz (call $pull_integer (i64.const 0xffff))) (then (return (i32.const 0))))
      (local.set $names (i32.shl (i32.wrap_i64 (global.get $integer)) (i32.const 1)))))
    (if (i32.eqz (call $pass (local.get $names))) (then (return (i32.const 0))))
    ;; Of how many elements it consists: the three that were read first, and those since.
    (local.set $elements (i32.add (i32.const 3) (i32.sub (local.get $before) (global.get $left))))
    (if (i32.eqz (call $pull_integer (i64.extend_i32_u (local.get $elements)))) (then (return (i32.const 0))))
    (i64.eq (global.get $integer) (i64.extend_i32_u (local.get $elements))))

  ;; ---- Any value

  ;; Whether nothing is wrong with the value of $type from $p to $end.
  (func $is_sound (param $type i32) (param $p i32) (param $end i32) (result i32)
    (block $no
    (block $stream
    (block $quicklist
    (block $plain
    (block $single
    (block $text
      (br_if $no (i32.ge_u (local.get $p) (local.get $end)))
      (br_table
        $text $no $plain $no $plain $plain $no $no $no $no $no $single $no $no $no $stream
        $single $single $quicklist $stream $single $stream $no
        (local.get $type)))
    ;; Of plain text the walk has seen all that there is to see.
    (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 0xc3)) (then (return (i32.const 1)))))
    (return (call $single (local.get $type) (local.get $p) (local.get $end))))
    (return (call $plain (local.get $type) (local.get $p) (local.get $end))))
    (return (call $quicklist (local.get $p) (local.get $end))))
    (return (call $stream (local.get $type) (local.get $p) (local.get $end))))
    (i32.const 0))

  ;; ---- Keys

  ;; Puts the fingerprint of the text from $p to $end at $to: the one of operations/fingerprints.ts.
  (func $fingerprint (param $p i32) (param $end i32) (param $salt i32) (param $to i32)
    (local $first i32) (local $second i32) (local $block i32) (local $size i32)
    (local.set $size (i32.sub (local.get $end) (local.get $p)))
    (local.set $first (i32.xor (global.get $seed_first) (local.get $size)))
    (local.set $second (i32.xor
      (i32.xor (global.get $seed_second) (local.get $salt))
      (i32.mul (local.get $size) (i32.const 0x735a2d97))))
    (block $last (loop $four
      (br_if $last (i32.lt_u (local.get $size) (i32.const 4)))
      (local.set $block (i32.mul (i32.load align=1 (local.get $p)) (i32.const 0x2c1b3c6d)))
      (local.set $block (i32.mul
        (i32.xor (local.get $block) (i32.shr_u (local.get $block) (i32.const 15)))
        (i32.const -0x61c88647)))
      (local.set $first (i32.xor (local.get $first) (local.get $block)))
      (local.set $first (i32.add
        (i32.mul (i32.rotl (local.get $first) (i32.const 13)) (i32.const 5))
        (local.get $second)))
      (local.set $second (i32.mul
        (i32.xor
          (i32.xor (local.get $second) (local.get $block))
          (i32.shr_u (local.get $block) (i32.const 16)))
        (i32.const -0x3d4d51cb)))
      (local.set $second (i32.rotl (local.get $second) (i32.const 17)))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (local.set $size (i32.sub (local.get $size) (i32.const 4)))
      (br $four)))
    (local.set $block (i32.and
      (i32.load align=1 (local.get $p))
      (i32.sub (i32.shl (i32.const 1) (i32.shl (local.get $size) (i32.const 3))) (i32.const 1))))
    (local.set $block (i32.mul (local.get $block) (i32.const 0x2c1b3c6d)))
    (local.set $block (i32.mul
      (i32.xor (local.get $block) (i32.shr_u (local.get $block) (i32.const 15)))
      (i32.const -0x61c88647)))
    (local.set $first (i32.xor (local.get $first) (local.get $block)))
    (local.set $second (i32.xor (local.get $second) (i32.rotl (local.get $block) (i32.const 7))))
    (local.set $first (i32.mul
      (i32.xor (local.get $first) (i32.shr_u (local.get $first) (i32.const 16)))
      (i32.const -0x7a143595)))
    (local.set $first (i32.mul
      (i32.xor (local.get $first) (i32.shr_u (local.get $first) (i32.const 13)))
      (i32.const -0x3d4d51cb)))
    (local.set $second (i32.mul
      (i32.xor (local.get $second) (i32.shr_u (local.get $second) (i32.const 15)))
      (i32.const 0x297a2d39)))
    (local.set $second (i32.mul
      (i32.xor (local.get $second) (i32.shr_u (local.get $second) (i32.const 12)))
      (i32.const 0x735a2d97)))
    (local.set $first (i32.xor (local.get $first) (i32.shr_u (local.get $first) (i32.const 16))))
    (local.set $second (i32.xor (local.get $second) (i32.shr_u (local.get $second) (i32.const 15))))
    (i32.store (local.get $to) (local.get $first))
    (i32.store offset=4 (local.get $to) (select
      (i32.const 1)
      (local.get $second)
      (i32.eqz (i32.or (local.get $first) (local.get $second))))))

  ;; Whether the key from $p to $end is sound. Puts its fingerprint at $to; zeros when it is an integer, or damaged.
  (func $key (param $p i32) (param $end i32) (param $salt i32) (param $to i32) (result i32)
    (i64.store (local.get $to) (i64.const 0))
    (if (i32.eqz (call $string (local.get $p) (local.get $end))) (then (return (i32.const 0))))
    (if (i32.eqz (global.get $is_integer)) (then
      (call $fingerprint (global.get $text) (global.get $text_end) (local.get $salt) (local.get $to))))
    (i32.const 1))

  ;; Looks at the entries from number $from up to number $to: what stands at $base in the part is the first byte of the
  ;; input. Passes only types whose bits are set in $types. Lists the others from place $place on, and gives the place
  ;; behind the last.
  (func (export "look")
    (param $from i32) (param $to i32) (param $base f64) (param $db i32) (param $types i32) (param $place i32)
    (result i32)
    (local $i i32) (local $type i32) (local $key i32) (local $value i32) (local $end i32) (local $print i32)
    (local.set $i (local.get $from))
    (loop $next
      (local.set $key (call $address (i32.const 65536) (local.get $i) (local.get $base)))
      (local.set $value (call $address (i32.const 73728) (local.get $i) (local.get $base)))
      (local.set $end (call $address (i32.const 81920) (local.get $i) (local.get $base)))
      (local.set $type (i32.load8_u offset=90112 (local.get $i)))
      (local.set $print (i32.add (i32.const 91136) (i32.shl (local.get $i) (i32.const 3))))
      (if (i32.eqz (i32.and
            (i32.and
              (call $key (local.get $key) (local.get $value) (local.get $db) (local.get $print))
              (i32.shr_u (local.get $types) (local.get $type)))
            (call $is_sound (local.get $type) (local.get $value) (local.get $end)))) (then
        (i32.store offset=99328 (i32.shl (local.get $place) (i32.const 2)) (local.get $i))
        (local.set $place (i32.add (local.get $place) (i32.const 1)))))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1)))
        (local.get $to))))
    (local.get $place))

  ;; Where in the input that is whose offset is number $i of the column at $column.
  (func $address (param $column i32) (param $i i32) (param $base f64) (result i32)
    (i32.add (i32.const 176128) (i32.trunc_f64_s (f64.sub
      (f64.load (i32.add (local.get $column) (i32.shl (local.get $i) (i32.const 3))))
      (local.get $base))))))

;; LZF (lzf.ts has the format), block by block.
;;
;; Memory:      0  hash table: 65,536 words; where three bytes that hash to it were met last
;;         262144  input, up to 262,144 bytes
;;         524352  history: up to 8,192 bytes that stand before the output
;;         532544  output: a block, or what a block grows to that does not compress (33/32)
;;         811008  how much input was used up, how much output was written: of "decompress"
;; Behind input and output there is room, since bytes are copied 16 and 32 at once, beyond the end of what is wanted.
(module
  (memory (export "memory") 13)

  ;; The table is not cleared for each block: places are counted on from block to block, with so much between that what
  ;; a former block left is too far away to be referred to. So the result depends on the block alone.
  (global $epoch (mut i32) (i32.const 8193))

  ;; Writes $run bytes from $p on as they are, behind $w; gives the new end.
  (func $literals (param $p i32) (param $run i32) (param $w i32) (result i32)
    (local $n i32)
    (block $done (loop $more
      (br_if $done (i32.eqz (local.get $run)))
      (local.set $n (select (local.get $run) (i32.const 32) (i32.lt_u (local.get $run) (i32.const 32))))
      (i32.store8 (local.get $w) (i32.sub (local.get $n) (i32.const 1)))
      (v128.store offset=1 align=1 (local.get $w) (v128.load align=1 (local.get $p)))
      (v128.store offset=17 align=1 (local.get $w) (v128.load offset=16 align=1 (local.get $p)))
      (local.set $w (i32.add (local.get $w) (i32.add (local.get $n) (i32.const 1))))
      (local.set $p (i32.add (local.get $p) (local.get $n)))
      (local.set $run (i32.sub (local.get $run) (local.get $n)))
      (br $more)))
    (local.get $w))

  ;; V8 does not inline functions, so what is done again and again is written out: three bytes as a word, the place of
  ;; a word in the table, and what a run costs: a byte more for each 32.
  ;;
  ;; Compresses the first $size bytes of the input. Bytes of output; 0 when they would be more than $limit.
  (func (export "compress") (param $size i32) (param $limit i32) (result i32)
    (local $p i32) (local $end i32) (local $last i32) (local $literals i32) (local $w i32)
    (local $rebase i32) (local $word i32) (local $slot i32) (local $distance i32) (local $most i32)
    (local $run i32) (local $cost i32) (local $count i32)
    (if (i32.gt_u (global.get $epoch) (i32.const 0x7ff00000)) (then
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 262144))
      (global.set $epoch (i32.const 8193))))
    (local.set $rebase (i32.sub (global.get $epoch) (i32.const 262144)))
    (global.set $epoch (i32.add (global.get $epoch) (i32.add (local.get $size) (i32.const 8193))))
    (local.set $p (i32.const 262144))
    (local.set $literals (local.get $p))
    (local.set $end (i32.add (local.get $p) (local.get $size)))
    (local.set $last (i32.sub (local.get $end) (i32.const 2)))
    (local.set $w (i32.const 532544))
    (local.set $limit (i32.add (local.get $w) (local.get $limit)))
    (block $done
    (br_if $done (i32.ge_u (local.get $p) (local.get $last)))
    (loop $next
      (local.set $word (i32.and (i32.load align=1 (local.get $p)) (i32.const 0xffffff)))
      (local.set $slot (i32.and
        (i32.shr_u (i32.mul (local.get $word) (i32.const 0x9e3779b1)) (i32.const 14))
        (i32.const 0x3fffc)))
      (local.set $distance
        (i32.sub (i32.add (local.get $p) (local.get $rebase)) (i32.load (local.get $slot))))
      (i32.store (local.get $slot) (i32.add (local.get $p) (local.get $rebase)))
      (if (i32.le_s (local.get $distance) (i32.const 8192)) (then
        (if (i32.eq
              (local.get $word)
              (i32.and
                (i32.load align=1 (i32.sub (local.get $p) (local.get $distance)))
                (i32.const 0xffffff))) (then
          (local.set $run (i32.sub (local.get $p) (local.get $literals)))
          (local.set $cost
            (i32.add (local.get $run) (i32.shr_u (i32.add (local.get $run) (i32.const 31)) (i32.const 5))))
          (if (i32.gt_u (i32.add (i32.add (local.get $w) (local.get $cost)) (i32.const 2)) (local.get $limit))
            (then (return (i32.const 0))))
          (local.set $w (call $literals (local.get $literals) (local.get $run) (local.get $w)))
          (local.set $most (i32.add (local.get $p) (i32.const 264)))
          (local.set $most
            (select (local.get $most) (local.get $end) (i32.lt_u (local.get $most) (local.get $end))))
          (local.set $count (i32.sub (i32.const -2) (local.get $p)))
          (local.set $p (i32.add (local.get $p) (i32.const 3)))
          (block $differs (loop $same
            (br_if $differs (i32.ge_u (local.get $p) (local.get $most)))
            (br_if $differs (i32.ne
              (i32.load8_u (local.get $p))
              (i32.load8_u (i32.sub (local.get $p) (local.get $distance)))))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (br $same)))
          (local.set $count (i32.add (local.get $count) (local.get $p)))
          (local.set $distance (i32.sub (local.get $distance) (i32.const 1)))
          (if (i32.lt_u (local.get $count) (i32.const 7))
            (then
              (i32.store8 (local.get $w) (i32.or
                (i32.shl (local.get $count) (i32.const 5))
                (i32.shr_u (local.get $distance) (i32.const 8))))
              (i32.store8 offset=1 (local.get $w) (local.get $distance))
              (local.set $w (i32.add (local.get $w) (i32.const 2))))
            (else
              (i32.store8 (local.get $w)
                (i32.or (i32.const 0xe0) (i32.shr_u (local.get $distance) (i32.const 8))))
              (i32.store8 offset=1 (local.get $w) (i32.sub (local.get $count) (i32.const 7)))
              (i32.store8 offset=2 (local.get $w) (local.get $distance))
              (local.set $w (i32.add (local.get $w) (i32.const 3)))))
          (local.set $literals (local.get $p))
          (br_if $done (i32.ge_u (local.get $p) (local.get $last)))
          ;; Of what a reference stands for only the last two places are remembered, as libLZF does: the others
          ;; would take longer than they save.
          (local.set $word
            (i32.and (i32.load align=1 (i32.sub (local.get $p) (i32.const 2))) (i32.const 0xffffff)))
          (i32.store
            (i32.and
              (i32.shr_u (i32.mul (local.get $word) (i32.const 0x9e3779b1)) (i32.const 14))
              (i32.const 0x3fffc))
            (i32.add (i32.sub (local.get $p) (i32.const 2)) (local.get $rebase)))
          (local.set $word
            (i32.and (i32.load align=1 (i32.sub (local.get $p) (i32.const 1))) (i32.const 0xffffff)))
          (i32.store
            (i32.and
              (i32.shr_u (i32.mul (local.get $word) (i32.const 0x9e3779b1)) (i32.const 14))
              (i32.const 0x3fffc))
            (i32.add (i32.sub (local.get $p) (i32.const 1)) (local.get $rebase)))
          (br $next)))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $p) (local.get $last)))))
    (local.set $run (i32.sub (local.get $end) (local.get $literals)))
    (local.set $cost
      (i32.add (local.get $run) (i32.shr_u (i32.add (local.get $run) (i32.const 31)) (i32.const 5))))
    (if (i32.gt_u (i32.add (local.get $w) (local.get $cost)) (local.get $limit))
      (then (return (i32.const 0))))
    (i32.sub
      (call $literals (local.get $literals) (local.get $run) (local.get $w))
      (i32.const 532544)))

  ;; Decompresses the first $size bytes of the input to at most $room bytes, $history bytes standing before them. Stops
  ;; before a run or reference that is not all there, that has no room, or that refers to before the history.
  (func (export "decompress") (param $size i32) (param $room i32) (param $history i32)
    (local $p i32) (local $next i32) (local $end i32) (local $w i32) (local $most i32) (local $first i32)
    (local $control i32) (local $n i32) (local $from i32) (local $distance i32)
    (local.set $p (i32.const 262144))
    (local.set $end (i32.add (local.get $p) (local.get $size)))
    (local.set $w (i32.const 532544))
    (local.set $most (i32.add (local.get $w) (local.get $room)))
    (local.set $first (i32.sub (local.get $w) (local.get $history)))
    (block $stop (loop $item
      (br_if $stop (i32.ge_u (local.get $p) (local.get $end)))
      (local.set $control (i32.load8_u (local.get $p)))
      (if (i32.lt_u (local.get $control) (i32.const 32)) (then
        (local.set $next (i32.add (local.get $p) (i32.add (local.get $control) (i32.const 2))))
        (br_if $stop (i32.gt_u (local.get $next) (local.get $end)))
        (local.set $n (i32.add (local.get $w) (i32.add (local.get $control) (i32.const 1))))
        (br_if $stop (i32.gt_u (local.get $n) (local.get $most)))
        (v128.store align=1 (local.get $w) (v128.load offset=1 align=1 (local.get $p)))
        (v128.store offset=16 align=1 (local.get $w) (v128.load offset=17 align=1 (local.get $p)))
        (local.set $w (local.get $n))
        (local.set $p (local.get $next))
        (br $item)))
      (local.set $n (i32.add (i32.shr_u (local.get $control) (i32.const 5)) (i32.const 2)))
      (local.set $next (i32.add (local.get $p) (i32.const 2)))
      (if (i32.eq (local.get $n) (i32.const 9)) (then
        (local.set $n (i32.add (local.get $n) (i32.load8_u offset=1 (local.get $p))))
        (local.set $next (i32.add (local.get $p) (i32.const 3)))))
      (br_if $stop (i32.gt_u (local.get $next) (local.get $end)))
      (local.set $distance (i32.add (i32.const 1) (i32.or
        (i32.shl (i32.and (local.get $control) (i32.const 31)) (i32.const 8))
        (i32.load8_u (i32.sub (local.get $next) (i32.const 1))))))
      (local.set $from (i32.sub (local.get $w) (local.get $distance)))
      (br_if $stop (i32.lt_u (local.get $from) (local.get $first)))
      (local.set $n (i32.add (local.get $w) (local.get $n)))
      (br_if $stop (i32.gt_u (local.get $n) (local.get $most)))
      (local.set $p (local.get $next))
      ;; 16 bytes at once overlap when the distance is shorter: what is repeated is first written out 16 times, and then
      ;; referred to at a multiple of the distance.
      (if (i32.lt_u (local.get $distance) (i32.const 16)) (then
        (local.set $control (i32.add (local.get $w) (i32.const 16)))
        (loop $one
          (i32.store8 (local.get $w) (i32.load8_u (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (br_if $one (i32.lt_u
            (local.tee $w (i32.add (local.get $w) (i32.const 1)))
            (local.get $control))))
        (local.set $from (i32.sub (local.get $w) (i32.mul
          (local.get $distance)
          (i32.div_u (i32.add (local.get $distance) (i32.const 15)) (local.get $distance)))))
        (if (i32.ge_u (local.get $w) (local.get $n)) (then
          (local.set $w (local.get $n))
          (br $item)))))
      (loop $many
        (v128.store align=1 (local.get $w) (v128.load align=1 (local.get $from)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (br_if $many (i32.lt_u
          (local.tee $w (i32.add (local.get $w) (i32.const 16)))
          (local.get $n))))
      (local.set $w (local.get $n))
      (br $item)))
    (i32.store (i32.const 811008) (i32.sub (local.get $p) (i32.const 262144)))
    (i32.store (i32.const 811012) (i32.sub (local.get $w) (i32.const 532544)))))

// Written by scripts/make-commands.ts from the answers of
//   Redis server v=7.0.15
//   Redis server v=8.0.6
//   Valkey server v=8.1.1
//   Valkey server v=9.1.2
// Do not edit.

/**
 * A line for each command and subcommand: name, arity (one, or one a server in the order of SERVERS, empty where it is
 * unknown), flags, key specs. What the letters and specs mean stands in commands.ts, which reads this.
 */
export const COMMANDS = `
acl -2 c
acl|cat -2 -
acl|deluser -3 a
acl|dryrun -4 a
acl|genpass -2 -
acl|getuser 3 a
acl|help 2 -
acl|list 2 a
acl|load 2 a
acl|log -2 a
acl|save 2 a
acl|setuser -3 a
acl|users 2 a
acl|whoami 2 -
append 3 w 1
asking 1 -
auth -2 -
bgrewriteaof 1 a
bgsave -1 a
bitcount -2 r 1
bitfield -2 w 1
bitfield_ro -2 r 1
bitop -4 w 2;3:-1/1/0
bitpos -3 r 1
blmove 6 bw 1;2
blmpop -5 bkw 2#0/1/1
blpop -3 bw 1:-2/1/0
brpop -3 bw 1:-2/1/0
brpoplpush 4 bw 1;2
bzmpop -5 bkw 2#0/1/1
bzpopmax -3 bw 1:-2/1/0
bzpopmin -3 bw 1:-2/1/0
client -2 c
client|caching 3 -
client|capa ,,-3,-3 -
client|getname 2 -
client|getredir 2 -
client|help 2 -
client|id 2 -
client|import-source ,,3,3 -
client|info 2 -
client|kill -3 a
client|list -2 a
client|no-evict 3 a
client|no-touch ,3,3,3 -
client|pause -3 a
client|reply 3 n
client|setinfo ,4,4,4 -
client|setname 3 -
client|tracking -3 -
client|trackinginfo 2 -
client|unblock -3 a
client|unpause 2 a
cluster -2 c
clusterscan ,,,-2 r
cluster|addslots -3 a
cluster|addslotsrange -4 a
cluster|bumpepoch 2 a
cluster|cancelslotmigrations ,,,2 a
cluster|count-failure-reports 3 a
cluster|countkeysinslot 3 -
cluster|delslots -3 a
cluster|delslotsrange -4 a
cluster|failover -2 a
cluster|flushslot ,,,-3 aw
cluster|flushslots 2 a
cluster|forget 3 a
cluster|getkeysinslot 4 -
cluster|getslotmigrations ,,,2 a
cluster|help 2 -
cluster|info 2 -
cluster|keyslot 3 -
cluster|links 2 -
cluster|meet -4 a
cluster|migrateslots ,,,-4 a
cluster|myid 2 -
cluster|myshardid ,2,2,2 -
cluster|nodes 2 -
cluster|replicas 3 a
cluster|replicate 3,3,3,-3 a
cluster|reset -2 a
cluster|saveconfig 2 a
cluster|set-config-epoch 3 a
cluster|setslot -4 a
cluster|shards 2 -
cluster|slaves 3 a
cluster|slot-stats ,,-4,-4 -
cluster|slots 2 -
cluster|syncslots ,,,-3 a
command -1 c
commandlog ,,-2,-2 c
commandlog|get ,,4,4 a
commandlog|help ,,2,2 -
commandlog|len ,,3,3 a
commandlog|reset ,,3,3 a
command|count 2 -
command|docs -2 -
command|getkeys -4,-3,-3,-3 -
command|getkeysandflags -4,-3,-3,-3 -
command|help 2 -
command|info -2 -
command|list -2 -
config -2 c
config|get -3 a
config|help 2 -
config|resetstat 2 a
config|rewrite 2 a
config|set -4 a
copy -3 w 1;2
dbsize 1 r
debug -2 a
decr 2 w 1
decrby 3 w 1
del -2 w 1:-1/1/0
delifeq ,,,3 w 1
discard 1 -
dump 2 r 1
echo 2 -
eval -3 k 2#0/1/1
eval_ro -3 kr 2#0/1/1
evalsha -3 k 2#0/1/1
evalsha_ro -3 kr 2#0/1/1
exec 1 -
exists -2 r 1:-1/1/0
expire -3 w 1
expireat -3 w 1
expiretime 2 r 1
failover -1 a
fcall -3 k 2#0/1/1
fcall_ro -3 kr 2#0/1/1
flushall -1 w
flushdb -1 w
function -2 c
function|delete 3 w
function|dump 2 -
function|flush -2 w
function|help 2 -
function|kill 2 -
function|list -2 -
function|load -3 w
function|restore -3 w
function|stats 2 -
geoadd -5 w 1
geodist -4 r 1
geohash -2 r 1
geopos -2 r 1
georadius -6 kw 1;STORE@6;STOREDIST@6
georadius_ro -6 r 1
georadiusbymember -5 kw 1;STORE@5;STOREDIST@5
georadiusbymember_ro -5 r 1
geosearch -7 r 1
geosearchstore -8 w 1;2
get 2 r 1
getbit 3 r 1
getdel 2 w 1
getex -2 w 1
getrange 4 r 1
getset 3 w 1
hdel -3 w 1
hello -1 -
hexists 3 r 1
hexpire ,-6,,-6 w 1
hexpireat ,-6,,-6 w 1
hexpiretime ,-5,,-5 r 1
hget 3 r 1
hgetall 2 r 1
hgetdel ,-5,,-5 w 1
hgetex ,-5,,-5 w 1
hincrby 4 w 1
hincrbyfloat 4 w 1
hkeys 2 r 1
hlen 2 r 1
hmget -3 r 1
hmset -4 w 1
hpersist ,-5,,-5 w 1
hpexpire ,-6,,-6 w 1
hpexpireat ,-6,,-6 w 1
hpexpiretime ,-5,,-5 r 1
hpttl ,-5,,-5 r 1
hrandfield -2 r 1
hscan -3 r 1
hset -4 w 1
hsetex ,-6,,-6 w 1
hsetnx 4 w 1
hstrlen 3 r 1
httl ,-5,,-5 r 1
hvals 2 r 1
incr 2 w 1
incrby 3 w 1
incrbyfloat 3 w 1
info -1 -
keys 2 r
lastsave 1 -
latency -2 c
latency|doctor 2 a
latency|graph 3 a
latency|help 2 -
latency|histogram -2 a
latency|history 3 a
latency|latest 2 a
latency|reset -2 a
lcs -3 r 1:1/1/0
lindex 3 r 1
linsert 5 w 1
llen 2 r 1
lmove 5 w 1;2
lmpop -4 kw 1#0/1/1
lolwut -1 r
lpop -2 w 1
lpos -3 r 1
lpush -3 w 1
lpushx -3 w 1
lrange 4 r 1
lrem 4 w 1
lset 4 w 1
ltrim 4 w 1
memory -2 c
memory|doctor 2 -
memory|help 2 -
memory|malloc-stats 2 -
memory|purge 2 -
memory|stats 2 -
memory|usage -3 r 2
mget -2 r 1:-1/1/0
migrate -6 kw 3;KEYS@-2:-1/1/0
module -2 c
module|help 2 -
module|list 2 a
module|load -3 a
module|loadex -3 a
module|unload 3 a
monitor 1 a
move 3 w 1
mset -3 w 1:-1/2/0
msetex ,,,-4 kw 1#0/1/2
msetnx -3 w 1:-1/2/0
multi 1 n
object -2 c
object|encoding 3 r 2
object|freq 3 r 2
object|help 2 -
object|idletime 3 r 2
object|refcount 3 r 2
persist 2 w 1
pexpire -3 w 1
pexpireat -3 w 1
pexpiretime 2 r 1
pfadd -2 w 1
pfcount -2 r 1:-1/1/0
pfdebug 3 aw 2
pfmerge -2 w 1;2:-1/1/0
pfselftest 1 a
ping -1 -
psetex 4 w 1
psubscribe -2 p
psync -3 an
pttl 2 r 1
publish 3 p
pubsub -2 c
pubsub|channels -2 p
pubsub|help 2 -
pubsub|numpat 2 p
pubsub|numsub -2 p
pubsub|shardchannels -2 p
pubsub|shardnumsub -2 p
punsubscribe -1 p
quit -1 -
randomkey 1 r
readonly 1 -
readwrite 1 -
rename 3 w 1;2
renamenx 3 w 1;2
replconf -1 a
replicaof 3 a
reset 1 -
restore -4 w 1
restore-asking -4 w 1
role 1 -
rpop -2 w 1
rpoplpush 3 w 1;2
rpush -3 w 1
rpushx -3 w 1
sadd -3 w 1
save 1 an
scan -2 r
scard 2 r 1
script -2 c
script|debug 3,3,3,-3 -
script|exists -3 -
script|flush -2 -
script|help 2 -
script|kill 2 -
script|load 3 -
script|show ,,3,3 -
sdiff -2 r 1:-1/1/0
sdiffstore -3 w 1;2:-1/1/0
select 2 -
set -3 w 1
setbit 4 w 1
setex 4 w 1
setnx 3 w 1
setrange 4 w 1
shutdown -1 an
sinter -2 r 1:-1/1/0
sintercard -3 kr 1#0/1/1
sinterstore -3 w 1;2:-1/1/0
sismember 3 r 1
slaveof 3 a
slowlog -2 c
slowlog|get -2 a
slowlog|help 2 -
slowlog|len 2 a
slowlog|reset 2 a
smembers 2 r 1
smismember -3 r 1
smove 4 w 1;2
sort -2 kw 1
sort_ro -2 kr 1
spop -2 w 1
spublish 3 p
srandmember -2 r 1
srem -3 w 1
sscan -3 r 1
ssubscribe -2 p
strlen 2 r 1
subscribe -2 p
substr 4 r 1
sunion -2 r 1:-1/1/0
sunionstore -3 w 1;2:-1/1/0
sunsubscribe -1 p
swapdb 3 w
sync 1 an
time 1 -
touch -2 r 1:-1/1/0
ttl 2 r 1
type 2 r 1
unlink -2 w 1:-1/1/0
unsubscribe -1 p
unwatch 1 -
vadd ,-1,, mw 1
vcard ,-1,, mr 1
vdim ,-1,, mr 1
vemb ,-1,, mr 1
vgetattr ,-1,, mr 1
vinfo ,-1,, mr 1
vismember ,-1,, mr 1
vlinks ,-1,, mr 1
vrandmember ,-1,, mr 1
vrem ,-1,, mw 1
vsetattr ,-1,, mw 1
vsim ,-1,, mr 1
wait 3 b
waitaof ,4,4,4 b
watch -2 n 1:-1/1/0
xack -4 w 1
xadd -5 w 1
xautoclaim -6 w 1
xclaim -6 w 1
xdel -3 w 1
xgroup -2 c
xgroup|create -5 w 2
xgroup|createconsumer 5 w 2
xgroup|delconsumer 5 w 2
xgroup|destroy 4 w 2
xgroup|help 2 -
xgroup|setid -5 w 2
xinfo -2 c
xinfo|consumers 4 r 2
xinfo|groups 3 r 2
xinfo|help 2 -
xinfo|stream -3 r 2
xlen 2 r 1
xpending -3 r 1
xrange -4 r 1
xread -4 bkr STREAMS@1:-1/1/2
xreadgroup -7 bkw STREAMS@4:-1/1/2
xrevrange -4 r 1
xsetid -3 w 1
xtrim -4 w 1
zadd -4 w 1
zcard 2 r 1
zcount 4 r 1
zdiff -3 kr 1#0/1/1
zdiffstore -4 kw 1;2#0/1/1
zincrby 4 w 1
zinter -3 kr 1#0/1/1
zintercard -3 kr 1#0/1/1
zinterstore -4 kw 1;2#0/1/1
zlexcount 4 r 1
zmpop -4 kw 1#0/1/1
zmscore -3 r 1
zpopmax -2 w 1
zpopmin -2 w 1
zrandmember -2 r 1
zrange -4 r 1
zrangebylex -4 r 1
zrangebyscore -4 r 1
zrangestore -5 w 1;2
zrank 3,-3,-3,-3 r 1
zrem -3 w 1
zremrangebylex 4 w 1
zremrangebyrank 4 w 1
zremrangebyscore 4 w 1
zrevrange -4 r 1
zrevrangebylex -4 r 1
zrevrangebyscore -4 r 1
zrevrank 3,-3,-3,-3 r 1
zscan -3 r 1
zscore 3 r 1
zunion -3 kr 1#0/1/1
zunionstore -4 kw 1;2#0/1/1
`

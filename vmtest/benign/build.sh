# SPDX-License-Identifier: Apache-2.0
# A small project is built, tested out of /tmp, installed, committed and packed.
set -e
rm -rf project
mkdir project
cd project
printf '#include <stdio.h>\nint main(void) { puts("x"); return 0; }\n' >main.c
for number in 1 2 3; do echo "int f$number(void) { return $number; }" >f$number.c; done
cat >Makefile <<END
all: app
app: main.o f1.o f2.o f3.o
	cc -o \$@ \$^
check: app
	mkdir -p /tmp/work-root
	cp app /tmp/work-root/test
	/tmp/work-root/test
install: app
	install -m 755 app /usr/local/bin/work-app
END
make all check install
git init -q . && git add -A && git -c user.name=x -c user.email=x@example.org commit -q -m x || true
tar czf ../project.tar.gz .
python3 -c 'import json, subprocess; subprocess.run(["./app"]); print(json.dumps({}))'
perl -e 'print "x\n"'
base64 main.c | base64 -d >copy.c
touch -r main.c copy.c
find . -name '*.o' -exec rm {} +
sha256sum *.c

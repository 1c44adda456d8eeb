# SPDX-License-Identifier: Apache-2.0
# A web server answers some requests.
mkdir -p site
echo hello >site/index.html
python3 -m http.server -d site -b 127.0.0.1 8099 &
for try in 1 2 3 4 5 6 7 8 9; do
    sleep 1
    curl -sf http://127.0.0.1:8099/ && break
done
curl -s -o page http://127.0.0.1:8099/index.html
curl -s -d a=b http://127.0.0.1:8099/ >/dev/null
wget -q -O page2 http://127.0.0.1:8099/index.html
kill $!
wait
